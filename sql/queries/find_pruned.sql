-- purpose: say whether a job was pruned, and when
-- params: $1 job id
-- returns: domain, finished_at, pruned_at; no row: it was not, or long ago
-- index: pruned_jobs_pkey
-- rows: 0 or 1
SELECT p.domain, p.finished_at, p.pruned_at
FROM pacewheel.pruned_jobs p
WHERE p.job_id = $1
