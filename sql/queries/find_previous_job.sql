-- purpose: find the last completed job before this one of the same domain and handler, to compare with, retries of failed tasks left out
-- params: $1 job id
-- returns: id; no row: there is none
-- index: jobs_pkey, jobs_final
-- rows: 0 or 1
SELECT p.id
FROM pacewheel.jobs j
JOIN pacewheel.jobs p ON
    p.domain_id = j.domain_id AND p.handler = j.handler AND p.id < j.id AND p.status = 3 AND p.retries_job_id IS NULL
WHERE j.id = $1
ORDER BY p.id DESC
LIMIT 1
