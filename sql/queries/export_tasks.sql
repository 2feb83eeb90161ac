-- purpose: read a job's tasks, each with its last attempt, page after page, to hand them out
-- params: $1 job id, $2 id after which to go on (the smallest bigint: from the first), $3 most tasks
-- returns: id, url, status, http_status, error, attempts, started_at, finished_at, answer_ms, timings (JSON text), bytes, cache_status, source, kind, depth, priority, in the order of ids
-- index: jobs_pkey, domains_pkey, tasks_pkey (in order: no sort), results_by_task
-- rows: at most $3
WITH page AS MATERIALIZED (
    SELECT t.*
    FROM pacewheel.tasks t
    WHERE
        t.domain_id = (SELECT j.domain_id FROM pacewheel.jobs j WHERE j.id = $1) AND t.job_id = $1 AND t.id > $2
        AND t.id BETWEEN pacewheel.first_task_id($1) AND pacewheel.last_task_id($1)
    ORDER BY t.id
    LIMIT $3
)
SELECT
    p.id, p.target AS url,
    CASE
        WHEN p.status = 0 AND p.id = ANY (d.in_flight) AND (p.ready_at > d.claimed_at) IS NOT TRUE THEN 'running'
        ELSE (ARRAY['pending', 'waiting', 'running', 'completed', 'failed', 'skipped', 'cancelled'])[p.status + 1]
    END AS status,
    r.http_status, r.error, p.attempt AS attempts,
    coalesce(r.departed_at, r.finished_at - r.duration_ms * interval '1 ms') AS started_at, r.finished_at,
    coalesce(
        jsonb_path_query_first(r.detail, '$.timings.total ? (@ >= 0 && @ < 1e12)')::float8, r.duration_ms
    ) AS answer_ms,
    (r.detail -> 'timings')::text AS timings, r.bytes, r.cache AS cache_status, p.payload ->> 'source' AS source,
    coalesce(p.payload ->> 'kind', 'page') AS kind,
    jsonb_path_query_first(p.payload, '$.depth ? (@ >= 0 && @ < 1e9)')::integer AS depth, p.priority
FROM page p
JOIN pacewheel.jobs j ON j.id = p.job_id
JOIN pacewheel.domains d ON d.id = p.domain_id
LEFT JOIN LATERAL (
    SELECT r.*
    FROM pacewheel.results r
    -- What came before the job can't be of it: whole days of results are left out.
    WHERE r.job_id = $1 AND r.task_id = p.id AND r.attempt = p.attempt AND r.finished_at >= j.created_at
    LIMIT 1
) r ON true
ORDER BY p.id
