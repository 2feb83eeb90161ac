-- purpose: remove old results that no daily partition holds: they came while one was missing
-- params: $1 age in ms, $2 most rows
-- returns: pruned
-- index: results_default_by_age
-- rows: 1
WITH old AS MATERIALIZED (
    SELECT r.ctid
    FROM pacewheel.results_default r
    WHERE r.finished_at < now() - $1::bigint * interval '1 ms'
    ORDER BY r.finished_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), pruned AS (
    DELETE FROM pacewheel.results_default r
    WHERE r.ctid = ANY (ARRAY(SELECT o.ctid FROM old o))
    RETURNING 1
)
SELECT count(*)::integer AS pruned FROM pruned
