-- purpose: list the pages that are broken in one of two jobs and not in the other, by their keys
-- params: $1 job id, $2 id of the job it is compared with, $3 true: broken in the first only, false: in the second only, $4 most pages
-- returns: pages (how many there are), url, in the order of URLs
-- index: results_by_task, tasks_pkey
-- rows: at most $4
WITH broken AS MATERIALIZED (
    SELECT l.job_id, l.key, l.target
    FROM pacewheel.last_results l
    WHERE
        l.job_id = ANY (ARRAY[$1::bigint, $2::bigint]) AND l.kind = 'page' AND l.status = 4
        AND l.error IS DISTINCT FROM 'redirect_loop'
)
SELECT count(*) OVER () AS pages, b.target AS url
FROM broken b
WHERE
    b.job_id = CASE WHEN $3::boolean THEN $1::bigint ELSE $2::bigint END
    AND b.key NOT IN (SELECT o.key FROM broken o WHERE o.job_id <> b.job_id)
ORDER BY b.target
LIMIT $4
