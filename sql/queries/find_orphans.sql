-- purpose: name the jobs, final or missing, that have live tasks: pending ones, or waiting ones that nobody wakes
-- params: $1 most jobs
-- returns: domain_id, job_id
-- index: tasks_claim, tasks_wake, jobs_pkey
-- rows: at most $1
-- Steps from job to job through tasks_claim, whatever the number of tasks, and looks at the head of each domain's
-- waiting tasks: those of a final job are never woken, so they end up there.
WITH RECURSIVE pending (domain_id, job_id) AS (
    SELECT 0::bigint, 0::bigint
    UNION ALL
    SELECT n.domain_id, n.job_id
    FROM pending p
    CROSS JOIN LATERAL (
        SELECT t.domain_id, t.job_id
        FROM pacewheel.tasks t
        WHERE t.status = 0 AND (t.domain_id, t.job_id) > (p.domain_id, p.job_id)
        ORDER BY t.domain_id, t.job_id
        LIMIT 1
    ) n
), waiting (domain_id) AS (
    SELECT 0::bigint
    UNION ALL
    SELECT n.domain_id
    FROM waiting w
    CROSS JOIN LATERAL (
        SELECT t.domain_id
        FROM pacewheel.tasks t
        WHERE t.status = 1 AND t.domain_id > w.domain_id
        ORDER BY t.domain_id
        LIMIT 1
    ) n
), seen AS MATERIALIZED (
    SELECT p.domain_id, p.job_id FROM pending p WHERE p.domain_id > 0
    UNION
    SELECT w.domain_id, t.job_id
    FROM waiting w
    CROSS JOIN LATERAL (
        SELECT t.job_id
        FROM pacewheel.tasks t
        WHERE t.domain_id = w.domain_id AND t.status = 1 AND t.ready_at < now() - interval '1 minute'
        ORDER BY t.ready_at
        LIMIT 100
    ) t
)
SELECT s.domain_id, s.job_id
FROM seen s
WHERE NOT EXISTS (SELECT FROM pacewheel.jobs j WHERE j.id = s.job_id AND j.domain_id = s.domain_id AND j.status < 3)
ORDER BY s.domain_id, s.job_id
LIMIT $1
