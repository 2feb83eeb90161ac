-- purpose: forget that jobs were pruned, so long after nothing was left of them
-- params: $1 age in ms, $2 most rows
-- returns: pruned
-- index: pruned_jobs_cleared, pruned_jobs_pkey
-- rows: 1
WITH old AS MATERIALIZED (
    SELECT p.job_id
    FROM pacewheel.pruned_jobs p
    WHERE p.cleared_at < now() - $1::bigint * interval '1 ms' AND p.cleared_at IS NOT NULL
    ORDER BY p.cleared_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), forgotten AS (
    DELETE FROM pacewheel.pruned_jobs p
    WHERE p.job_id = ANY (ARRAY(SELECT o.job_id FROM old o))
    RETURNING 1
)
SELECT count(*)::integer AS pruned FROM forgotten
