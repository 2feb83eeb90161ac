-- purpose: list a job's tasks that robots.txt forbids, with the line that does, for its report
-- params: $1 job id, $2 most tasks
-- returns: url, line (of robots.txt, null: not known), source, found_on (null for the start), in the order of URLs
-- index: results_by_task, tasks_pkey
-- rows: at most $2
SELECT
    l.target AS url, jsonb_path_query_first(l.detail, '$.line ? (@ > 0 && @ < 1e9)')::integer AS line,
    l.payload ->> 'source' AS source, f.target AS found_on
FROM pacewheel.last_results l
LEFT JOIN pacewheel.tasks f ON
    f.domain_id = l.domain_id
    AND f.id = jsonb_path_query_first(
        l.payload, '$.from ? (@ >= -9223372036854775808 && @ <= 9223372036854775807)'
    )::bigint
WHERE l.job_id = $1 AND l.status = 5 AND l.error = 'robots'
ORDER BY l.target
LIMIT $2
