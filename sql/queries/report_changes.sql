-- purpose: list the pages of a job that are broken and were not in another one, and those that answer and were broken there
-- params: $1 job id, $2 id of the job it is compared with, $3 most pages of each
-- returns: is_new (broken now; false: mended), pages (how many there are), url, in the order of URLs
-- index: results_by_task, tasks_pkey
-- rows: at most $3 of each
-- By their keys. What the first job has not looked at (yet) is not mended.
WITH looked_at AS MATERIALIZED (
    SELECT l.key, l.target, l.status = 4 AS is_broken
    FROM pacewheel.last_results l
    WHERE
        l.job_id = $1 AND l.kind = 'page' AND (l.status = 3 OR l.status = 4)
        AND l.error IS DISTINCT FROM 'redirect_loop'
), ranked AS (
    SELECT
        n.is_broken, n.target,
        count(*) OVER (PARTITION BY n.is_broken) AS pages,
        row_number() OVER (PARTITION BY n.is_broken ORDER BY n.target) AS nth
    FROM looked_at n
    -- A subquery and no join: it is hashed, whatever the planner takes the number of rows for.
    WHERE n.is_broken = (
        n.key NOT IN (
            SELECT l.key
            FROM pacewheel.last_results l
            WHERE
                l.job_id = $2 AND l.kind = 'page' AND l.status = 4 AND l.error IS DISTINCT FROM 'redirect_loop'
        )
    )
)
SELECT r.is_broken AS is_new, r.pages, r.target AS url
FROM ranked r
WHERE r.nth <= $3
ORDER BY r.is_broken, r.nth
