UPDATE pacewheel.tasks t
SET priority = greatest(t.priority, u.priority)
FROM unnest($2::text[], $3::float8[]) AS u (target, priority)
JOIN pacewheel.jobs j ON j.id = $1
WHERE t.domain_id = j.domain_id AND t.id = pacewheel.task_id(j.id, u.target) AND t.status < 2
