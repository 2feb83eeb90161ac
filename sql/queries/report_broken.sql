-- purpose: list a job's broken pages, each with its last error and what led to it first, for its report
-- params: $1 job id, $2 most pages
-- returns: task_id, url, http_status, error, message, attempts, source (start, sitemap, redirect, a link's position), found_on (the URL that led to it, null for the start), in the order of URLs
-- index: results_by_task, tasks_pkey
-- rows: at most $2
-- Any handler may keep what it likes in payload and detail: what is of another type than the crawler's is not read.
SELECT
    l.task_id, l.target AS url, l.http_status, l.error, l.detail ->> 'message' AS message, l.attempt AS attempts,
    l.payload ->> 'source' AS source, f.target AS found_on
FROM pacewheel.last_results l
LEFT JOIN pacewheel.tasks f ON
    f.domain_id = l.domain_id
    AND f.id = jsonb_path_query_first(
        l.payload, '$.from ? (@ >= -9223372036854775808 && @ <= 9223372036854775807)'
    )::bigint
WHERE l.job_id = $1 AND l.kind = 'page' AND l.status = 4 AND l.error IS DISTINCT FROM 'redirect_loop'
ORDER BY l.target
LIMIT $2
