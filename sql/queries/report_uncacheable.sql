-- purpose: count a job's pages that no cache keeps, by cause, each with some examples, for its report
-- params: $1 job id, $2 most examples a cause
-- returns: cause, pages, examples (URLs); the most frequent first
-- index: results_by_task, tasks_pkey
-- rows: as many as there are causes, a closed set
-- The cause is the detail's `uncacheable`; of pages without one, what their cache said.
WITH pages AS (
    SELECT
        l.target,
        coalesce(l.detail ->> 'uncacheable', CASE WHEN l.cache IN ('bypass', 'dynamic') THEN l.cache END) AS cause
    FROM pacewheel.last_results l
    WHERE l.job_id = $1 AND l.kind = 'page' AND l.status = 3
), ranked AS (
    SELECT p.cause, p.target, row_number() OVER (PARTITION BY p.cause ORDER BY p.target) AS nth
    FROM pages p
    WHERE p.cause IS NOT NULL
)
SELECT
    r.cause, count(*) AS pages, array_agg(r.target ORDER BY r.nth) FILTER (WHERE r.nth <= $2) AS examples
FROM ranked r
GROUP BY r.cause
ORDER BY count(*) DESC, r.cause
