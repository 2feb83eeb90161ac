UPDATE floor_tasks
SET status = 2, started_at = now()
WHERE ctid = ANY (ARRAY(
    SELECT t.ctid FROM floor_tasks t WHERE t.status = 0 ORDER BY t.priority DESC, t.id LIMIT $1 FOR UPDATE SKIP LOCKED
))
RETURNING domain_id, id, job_id, priority, attempt, target
