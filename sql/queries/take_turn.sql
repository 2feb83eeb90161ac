-- purpose: take or keep the turn to prune: one process at a time does it, and one that dies gives it up by silence
-- params: $1 worker id, $2 how long it is held in ms, $3 time between two runs in ms if one must be due, or null
-- returns: 1 if it is the caller's turn; no row otherwise
-- index: retention_pkey
-- rows: 0 or 1
-- For economy alone: each statement of a run locks what it removes, so two runs at once do no harm. A time that lies
-- further ahead than it can have been set was set by a clock that was wrong.
UPDATE pacewheel.retention r
SET worker_id = $1::bigint, held_until = clock_timestamp() + $2::bigint * interval '1 ms'
WHERE
    r.id = 1
    AND (
        r.worker_id = $1
        OR r.held_until NOT BETWEEN clock_timestamp() AND clock_timestamp() + $2::bigint * interval '1 ms'
    )
    AND (
        $3::bigint IS NULL
        OR r.next_at NOT BETWEEN clock_timestamp() AND clock_timestamp() + $3::bigint * interval '1 ms'
    )
RETURNING 1
