UPDATE predecessor.tasks
SET status = 'completed', completed_at = now(), status_code = 200, response_time_ms = 1
WHERE id = $1
