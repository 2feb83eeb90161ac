-- purpose: remove processes that have been dead for so long
-- params: $1 age in ms, $2 most rows
-- returns: pruned
-- index: workers_dead, workers_pkey
-- rows: 1
-- A domain whose owner has no row is as free as one whose owner is dead.
WITH dead AS MATERIALIZED (
    SELECT w.id
    FROM pacewheel.workers w
    WHERE w.dead_at < now() - $1::bigint * interval '1 ms' AND w.dead_at IS NOT NULL
    ORDER BY w.dead_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), pruned AS (
    DELETE FROM pacewheel.workers w
    WHERE w.id = ANY (ARRAY(SELECT d.id FROM dead d))
    RETURNING 1
)
SELECT count(*)::integer AS pruned FROM pruned
