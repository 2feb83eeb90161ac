-- purpose: list the failed tasks of a job, each with its last attempt, for people who look for what to retry
-- params: $1 job id, $2 id after which to go on (the smallest bigint: from the first), $3 most tasks
-- returns: id, target, key, attempt, error, http_status, message, finished_at, in the order of ids
-- index: jobs_pkey, tasks_failed (in order: no sort), results_by_task
-- rows: at most $3
WITH page AS MATERIALIZED (
    SELECT t.id, t.target, coalesce(t.key, t.target) AS key, t.attempt, t.finished_at
    FROM pacewheel.tasks t
    WHERE
        t.domain_id = (SELECT j.domain_id FROM pacewheel.jobs j WHERE j.id = $1) AND t.job_id = $1 AND t.status = 4
        AND t.id > $2
    ORDER BY t.id
    LIMIT $3
)
SELECT p.id, p.target, p.key, p.attempt, r.error, r.http_status, r.message, p.finished_at
FROM page p
LEFT JOIN LATERAL (
    SELECT r.error, r.http_status, r.detail ->> 'message' AS message
    FROM pacewheel.results r
    WHERE r.job_id = $1 AND r.task_id = p.id AND r.attempt = p.attempt
    ORDER BY r.finished_at DESC
    LIMIT 1
) r ON true
ORDER BY p.id
