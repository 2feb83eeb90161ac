-- purpose: read what the last completed attempt of the task with the same key left in an earlier job of the domain
-- params: $1 domain id, $2 task id, $3 the earlier job's id
-- returns: detail (JSON text)
-- index: tasks_pkey, results_by_task
-- rows: 0 or 1
-- A task's id follows from its job and key, so that of the earlier one needs no look-up (in the rare case
-- of two keys with one hash there is no answer, which is always safe).
SELECT r.detail::text
FROM pacewheel.tasks t
CROSS JOIN LATERAL (
    SELECT r.detail
    FROM pacewheel.results r
    WHERE
        r.domain_id = t.domain_id AND r.job_id = $3::bigint
        AND r.task_id = pacewheel.task_id($3, coalesce(t.key, t.target)) AND r.outcome = 3
    ORDER BY r.finished_at DESC
    LIMIT 1
) r
WHERE t.domain_id = $1 AND t.id = $2
