-- purpose: create a job like a final one, for running its failed tasks again
-- params: $1 id of the final job
-- returns: id; no row when it is unknown or not final
-- index: jobs_pkey
-- rows: 0 or 1
INSERT INTO pacewheel.jobs (domain_id, handler, priority, concurrency, options, retries_job_id)
SELECT j.domain_id, j.handler, j.priority, j.concurrency, j.options, j.id
FROM pacewheel.jobs j
WHERE j.id = $1 AND j.status > 2
RETURNING id
