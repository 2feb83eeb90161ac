UPDATE predecessor.tasks SET status = 'pending'
WHERE id = (
    SELECT id FROM predecessor.tasks
    WHERE job_id = $1 AND status = 'waiting'
    ORDER BY priority_score DESC, created_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
