-- purpose: name pruned jobs of which something may be left
-- params: $1 most jobs
-- returns: job_id, domain_id, tasks_left
-- index: pruned_jobs_uncleared
-- rows: at most $1
SELECT p.job_id, p.domain_id, p.tasks_left
FROM pacewheel.pruned_jobs p
WHERE p.cleared_at IS NULL
ORDER BY p.domain_id, p.job_id
LIMIT $1
