-- purpose: read the last attempts of one task, for people who look at it
-- params: $1 job id, $2 task id, $3 most attempts
-- returns: attempt, worker_id, outcome, error, http_status, duration_ms, bytes, cache, departed_at, finished_at, apart_ms, gap_ms, detail (JSON text); the last one first
-- index: results_by_task
-- rows: at most $3
SELECT
    r.attempt, r.worker_id, r.outcome, r.error, r.http_status, r.duration_ms, r.bytes, r.cache, r.departed_at,
    r.finished_at, r.apart_ms, r.gap_ms, r.detail::text AS detail
FROM pacewheel.results r
WHERE r.job_id = $1 AND r.task_id = $2
ORDER BY r.finished_at DESC
LIMIT $3
