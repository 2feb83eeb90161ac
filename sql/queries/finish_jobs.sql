-- purpose: end the jobs that have no live task left and whose discovery is finished
-- params: $1 job ids
-- returns: id and sums of each job that ended
-- index: jobs_pkey
-- rows: at most those asked for
WITH locked AS MATERIALIZED (
    SELECT j.id
    FROM pacewheel.jobs j
    WHERE j.id = ANY ($1::bigint[]) AND j.status < 3
    ORDER BY j.id
    FOR NO KEY UPDATE
)
UPDATE pacewheel.jobs j
SET status = 3, finished_at = now()
WHERE j.id = ANY (ARRAY(SELECT l.id FROM locked l)) AND j.pending + j.waiting = 0 AND NOT j.discovery_open
RETURNING j.id, pacewheel.job_sums(to_jsonb(j)) AS sums
