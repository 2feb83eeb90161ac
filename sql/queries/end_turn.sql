-- purpose: give the turn to prune away at the end of a run, and say when the next is due
-- params: $1 worker id, $2 ms until the next run
-- returns: nothing
-- index: retention_pkey
-- rows: 0
UPDATE pacewheel.retention r
SET held_until = '-infinity', next_at = clock_timestamp() + $2::bigint * interval '1 ms'
WHERE r.id = 1 AND r.worker_id = $1::bigint
