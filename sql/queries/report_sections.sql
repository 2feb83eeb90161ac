-- purpose: sum up a job's pages by section, the first segment of their path, for its report
-- params: $1 job id, $2 most sections
-- returns: sections (how many there are), name (`/` for pages directly below the root), pages, ok, broken, warm, judged, bytes, p50_ms; the largest first
-- index: results_by_task, tasks_pkey
-- rows: at most $2
WITH latest AS MATERIALIZED (
    SELECT l.*
    FROM pacewheel.last_results l
    WHERE l.job_id = $1
), rechecked AS MATERIALIZED (
    SELECT DISTINCT ON (l.payload ->> 'from') (l.payload ->> 'from')::bigint AS task_id, l.cache
    FROM latest l
    WHERE l.kind IN ('recheck', 'warm') AND l.cache IS NOT NULL AND l.payload ? 'from'
    ORDER BY l.payload ->> 'from', l.finished_at DESC
), pages AS (
    SELECT
        coalesce(substring(l.target FROM '^[a-z]+://[^/?#]*(/[^/?#]+/)'), '/') AS name,
        l.status, l.error, l.http_status, l.bytes, l.answer_ms, coalesce(r.cache, l.cache) AS cache
    FROM latest l
    LEFT JOIN rechecked r ON r.task_id = l.task_id
    WHERE l.kind = 'page'
)
SELECT
    count(*) OVER () AS sections,
    p.name,
    count(*) AS pages,
    count(*) FILTER (WHERE p.status = 3 AND coalesce(p.http_status, 200) < 300) AS ok,
    count(*) FILTER (WHERE p.status = 4 AND p.error IS DISTINCT FROM 'redirect_loop') AS broken,
    count(*) FILTER (WHERE p.cache IN ('hit', 'stale', 'revalidated')) AS warm,
    count(*) FILTER (WHERE p.cache <> 'unknown') AS judged,
    coalesce(sum(p.bytes), 0)::bigint AS bytes,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY p.answer_ms) FILTER (WHERE p.http_status IS NOT NULL) AS p50_ms
FROM pages p
GROUP BY p.name
ORDER BY count(*) DESC, p.name
LIMIT $2
