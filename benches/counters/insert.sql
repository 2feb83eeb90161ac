INSERT INTO counted.tasks (domain_id, id, job_id, priority, created_at, status, target)
SELECT 1, pacewheel.task_id(1, i.target), 1, 0, now(), 0, i.target FROM unnest($1::text[]) AS i (target)
