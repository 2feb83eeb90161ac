INSERT INTO floor_tasks (domain_id, id, job_id, priority, created_at, status, target)
SELECT i.job_id, hashtextextended(i.target, i.job_id), i.job_id, i.priority, now(), 0, i.target
FROM unnest($1::bigint[], $2::text[], $3::float8[]) AS i (job_id, target, priority)
