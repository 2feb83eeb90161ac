-- purpose: note that nothing is left of a pruned job
-- params: $1 job id
-- returns: nothing
-- index: pruned_jobs_pkey
-- rows: 0
UPDATE pacewheel.pruned_jobs p
SET cleared_at = now()
WHERE p.job_id = $1 AND p.cleared_at IS NULL
