-- purpose: take this process off the workers at its orderly end
-- params: $1 worker id
-- returns: nothing
-- index: workers_pkey
-- rows: 0
UPDATE pacewheel.workers SET dead_at = clock_timestamp() WHERE id = $1 AND dead_at IS NULL
