-- purpose: cancel live tasks of a job, running ones too, and end the job if they were its last
-- params: $1 job id, $2 task ids
-- returns: status (of the job before), domain_id, cancelled (ids of tasks), sums of the job if that ended it; no row for an unknown job
-- index: jobs_pkey, tasks_pkey
-- rows: 0 or 1
-- A running task is a pending row: its handler's outcome finds it final and changes nothing.
WITH job AS MATERIALIZED (
    SELECT j.id, j.domain_id, j.status
    FROM pacewheel.jobs j
    WHERE j.id = $1
    FOR NO KEY UPDATE
), live AS MATERIALIZED (
    SELECT t.domain_id, t.id, t.status, t.waiting_reason
    FROM job j
    JOIN pacewheel.tasks t ON t.domain_id = j.domain_id AND t.id = ANY ($2::bigint[])
    WHERE t.job_id = j.id AND t.status < 2 AND j.status < 3
    ORDER BY t.id
    FOR NO KEY UPDATE OF t
), ended AS (
    UPDATE pacewheel.tasks t
    SET status = 6, finished_at = now(), ready_at = NULL, waiting_reason = NULL
    FROM live l
    WHERE t.domain_id = l.domain_id AND t.id = l.id
    RETURNING t.id, l.status, l.waiting_reason
), summed AS MATERIALIZED (
    SELECT
        count(*) AS cancelled,
        count(*) FILTER (WHERE e.status = 0) AS pending,
        count(*) FILTER (WHERE e.status = 1) AS waiting,
        count(*) FILTER (WHERE e.waiting_reason = 0) AS backoff
    FROM ended e
), counted AS (
    UPDATE pacewheel.jobs j
    SET
        pending = j.pending - s.pending,
        waiting = j.waiting - s.waiting,
        backoff = j.backoff - s.backoff,
        cancelled = j.cancelled + s.cancelled,
        status = CASE
            WHEN j.pending + j.waiting = s.cancelled AND NOT j.discovery_open THEN 3 ELSE j.status
        END,
        finished_at = CASE WHEN j.pending + j.waiting = s.cancelled AND NOT j.discovery_open THEN now() END
    FROM summed s
    WHERE j.id = (SELECT l.id FROM job l) AND s.cancelled > 0
    RETURNING CASE WHEN j.status = 3 THEN pacewheel.job_sums(to_jsonb(j)) END AS sums
)
SELECT
    j.status, j.domain_id, ARRAY(SELECT e.id FROM ended e) AS cancelled, (SELECT c.sums FROM counted c) AS sums
FROM job j
