-- purpose: declare dead, once and for all, the workers whose lease has run out
-- params: none
-- returns: id of each
-- index: workers_alive
-- rows: 0 or more
UPDATE pacewheel.workers w
SET dead_at = clock_timestamp()
WHERE
    w.id = ANY (ARRAY(
        SELECT e.id
        FROM pacewheel.workers e
        WHERE e.dead_at IS NULL AND e.lease_until < clock_timestamp()
        ORDER BY e.id
        FOR NO KEY UPDATE SKIP LOCKED
    ))
    AND w.dead_at IS NULL AND w.lease_until < clock_timestamp()
RETURNING w.id
