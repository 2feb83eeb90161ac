SELECT t.id, t.job_id, t.path
FROM predecessor.tasks t
JOIN predecessor.jobs j ON j.id = t.job_id
WHERE t.status = 'pending' AND j.status = 'running' AND j.running_tasks < j.concurrency
ORDER BY t.priority_score DESC, t.created_at
LIMIT 1
FOR UPDATE OF t SKIP LOCKED
