UPDATE predecessor.jobs SET running_tasks = running_tasks - 1 WHERE id = $1
