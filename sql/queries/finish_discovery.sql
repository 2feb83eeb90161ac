-- purpose: say that no more tasks will come from outside the job's own tasks; ends jobs that have none left
-- params: $1 job ids
-- returns: id and status of each job that was not final, and the sums of each that this ended
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
SET
    discovery_open = false,
    status = CASE WHEN j.pending + j.waiting = 0 THEN 3 ELSE j.status END,
    finished_at = CASE WHEN j.pending + j.waiting = 0 THEN now() END
WHERE j.id = ANY (ARRAY(SELECT l.id FROM locked l))
RETURNING j.id, j.status, CASE WHEN j.status = 3 THEN pacewheel.job_sums(to_jsonb(j)) END AS sums
