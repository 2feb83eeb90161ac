-- purpose: say what a task is doing, or why it is not, and what holds it
-- params: $1 domain id, $2 task id
-- returns: id, job_id, domain, key, target, state, reason, expected_in_ms, holder, priority, attempt, owner, created_at, ready_at, finished_at, error (of its last attempt)
-- index: tasks_pkey, tasks_claim, domains_pkey, jobs_pkey, results_by_task
-- rows: 0 or 1
WITH task AS MATERIALIZED (
    SELECT t.* FROM pacewheel.task_states t WHERE t.domain_id = $1 AND t.id = $2
)
SELECT
    t.id, t.job_id, t.domain,
    (
        SELECT coalesce(k.key, k.target) FROM pacewheel.tasks k WHERE k.domain_id = t.domain_id AND k.id = t.id
    ) AS key,
    t.target, t.state, t.waiting_reason AS reason,
    CASE
        WHEN t.state = 'waiting' AND w.expected_in_ms IS NOT NULL
            THEN greatest(w.expected_in_ms, extract(epoch FROM t.ready_at - statement_timestamp())::float8 * 1000)
        ELSE w.expected_in_ms
    END AS expected_in_ms,
    w.holder, t.priority, t.attempt, t.owner, t.created_at, t.ready_at, t.finished_at,
    (
        SELECT r.error
        FROM pacewheel.results r
        WHERE r.job_id = t.job_id AND r.task_id = t.id
        ORDER BY r.attempt DESC
        LIMIT 1
    ) AS error
FROM task t
LEFT JOIN pacewheel.waiting w ON w.job_id = t.job_id AND w.reason = t.waiting_reason
