UPDATE predecessor.jobs SET running_tasks = running_tasks + 1, started_at = coalesce(started_at, now())
WHERE id = $1 AND running_tasks < concurrency
RETURNING id
