-- purpose: list the pages of a job that took longest, for its report
-- params: $1 job id, $2 most pages
-- returns: url, http_status, first_byte_ms, answer_ms, bytes, cache; the most first
-- index: results_by_task, tasks_pkey
-- rows: at most $2
SELECT
    l.target AS url, l.http_status,
    jsonb_path_query_first(l.detail, '$.timings.first_byte ? (@ >= 0 && @ < 1e12)')::float8 AS first_byte_ms,
    l.answer_ms, coalesce(l.bytes, 0) AS bytes, l.cache
FROM pacewheel.last_results l
WHERE l.job_id = $1 AND l.kind = 'page' AND l.http_status IS NOT NULL
ORDER BY l.answer_ms DESC, l.target
LIMIT $2
