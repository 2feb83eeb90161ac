UPDATE predecessor.tasks SET status = 'running', started_at = now() WHERE id = $1
