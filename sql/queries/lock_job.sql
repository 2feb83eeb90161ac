-- purpose: lock a job, so that the next statement of the transaction sees all its tasks
-- params: $1 job id
-- returns: id; no row for an unknown job
-- index: jobs_pkey
-- rows: 0 or 1
SELECT j.id FROM pacewheel.jobs j WHERE j.id = $1 FOR NO KEY UPDATE
