-- purpose: sum up a job's pages by section, the first segment of their path, for its report
-- params: $1 job id, $2 most sections
-- returns: sections (how many there are), name (`/` for pages directly below the root), pages, ok, broken, warm, judged, bytes, p50_ms; the largest first
-- index: results_by_task, tasks_pkey
-- rows: at most $2
WITH pages AS (
    SELECT coalesce(substring(p.target FROM '^[a-z]+://[^/?#]*(/[^/?#]+/)'), '/') AS name, p.*
    FROM pacewheel.page_results p
    WHERE p.job_id = $1
)
SELECT
    count(*) OVER () AS sections,
    p.name,
    count(*) AS pages,
    count(*) FILTER (WHERE p.status = 3 AND coalesce(p.http_status, 200) NOT IN (301, 302, 303, 307, 308)) AS ok,
    count(*) FILTER (WHERE p.status = 4 AND p.error IS DISTINCT FROM 'redirect_loop') AS broken,
    count(*) FILTER (WHERE p.is_warm) AS warm,
    count(p.is_warm) AS judged,
    coalesce(sum(p.bytes), 0)::bigint AS bytes,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY p.answer_ms) FILTER (WHERE p.http_status IS NOT NULL) AS p50_ms
FROM pages p
GROUP BY p.name
ORDER BY count(*) DESC, p.name
LIMIT $2
