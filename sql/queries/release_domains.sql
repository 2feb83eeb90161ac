-- purpose: give domains back: what was interrupted is pending again, the pace is kept, other processes are told
-- params: $1 worker id, $2 domain ids, $3 their epochs, $4 ms until the next request of each may start, $5 whether to notify
-- returns: id of each domain given back, hinted
-- index: domains_pkey
-- rows: at most those asked for
-- Waits neither for a settle nor for a large job that is being created here, which hold the row with KEY SHARE: the
-- next owner's lease takes it FOR UPDATE, and so comes after them.
WITH held AS MATERIALIZED (
    SELECT d.id, r.slot_in_ms
    FROM pacewheel.domains d
    JOIN unnest($2::bigint[], $3::bigint[], $4::float8[]) AS r (id, epoch, slot_in_ms)
        ON r.id = d.id AND r.epoch = d.epoch
    WHERE d.owner = $1
    ORDER BY d.id
    FOR NO KEY UPDATE OF d
), released AS (
    UPDATE pacewheel.domains d
    SET
        owner = NULL,
        in_flight = '{}',
        next_slot_at = greatest(d.next_slot_at, clock_timestamp() + h.slot_in_ms * interval '1 ms')
    FROM held h
    WHERE d.id = h.id
    RETURNING d.id
)
SELECT
    r.id,
    (
        SELECT pg_notify('pacewheel', 'released ' || string_agg(f.id::text, ' '))
        FROM (SELECT id FROM released LIMIT 300) f
        WHERE $5::boolean
        HAVING count(*) > 0
    ) IS NOT NULL AS hinted
FROM released r
ORDER BY r.id
