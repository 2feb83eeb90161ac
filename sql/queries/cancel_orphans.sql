-- purpose: cancel live tasks of a job that is final or missing; its counters are then recounted
-- params: $1 domain id, $2 job id, $3 most tasks
-- returns: cancelled (tasks)
-- index: jobs_pkey, tasks_claim, tasks_wake, tasks_pkey
-- rows: 1
WITH job AS MATERIALIZED (
    SELECT j.id, j.status
    FROM pacewheel.jobs j
    WHERE j.id = $2
    FOR NO KEY UPDATE
), live AS MATERIALIZED (
    SELECT t.domain_id, t.id
    FROM pacewheel.tasks t
    WHERE t.domain_id = $1 AND t.job_id = $2 AND t.status = 0
    UNION ALL
    SELECT t.domain_id, t.id
    FROM pacewheel.tasks t
    WHERE t.domain_id = $1 AND t.job_id = $2 AND t.status = 1
    LIMIT $3
), ended AS (
    UPDATE pacewheel.tasks t
    SET status = 6, finished_at = now(), ready_at = NULL, waiting_reason = NULL
    FROM live l
    WHERE
        t.domain_id = l.domain_id AND t.id = l.id AND t.status < 2
        AND NOT EXISTS (SELECT FROM job j WHERE j.status < 3)
    RETURNING t.id
)
SELECT count(*)::integer AS cancelled FROM ended
