-- purpose: say that a worker takes no more domains: it has no handlers left, so the others don't share with it
-- params: $1 worker id
-- returns: nothing
-- index: workers_pkey
-- rows: 0
UPDATE pacewheel.workers SET handlers = '{}' WHERE id = $1 AND dead_at IS NULL
