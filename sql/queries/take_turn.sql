-- purpose: take or keep the turn to prune: one process at a time does it, and one that dies gives it up by silence
-- params: $1 worker id, $2 how long it is held in ms, $3 whether a run must be due
-- returns: 1 if it is the caller's turn; no row otherwise
-- index: retention_pkey
-- rows: 0 or 1
-- For economy alone: each statement of a run locks what it removes, so two runs at once do no harm.
UPDATE pacewheel.retention r
SET worker_id = $1::bigint, held_until = clock_timestamp() + $2::bigint * interval '1 ms'
WHERE
    r.id = 1 AND (r.worker_id = $1 OR r.held_until < clock_timestamp())
    AND (NOT $3::boolean OR r.next_at < clock_timestamp())
RETURNING 1
