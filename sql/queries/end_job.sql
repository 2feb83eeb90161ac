-- purpose: fail or cancel a job and, in the same transaction, cancel all its live tasks and their raises
-- params: $1 job id, $2 the states it may be in, $3 the state it gets, $4 error or null
-- returns: status (before), domain_id, cancelled (tasks), the job's sums; no row for an unknown job
-- index: jobs_pkey, tasks_claim, tasks_wake, priority_updates_pkey
-- rows: 0 or 1
WITH job AS MATERIALIZED (
    SELECT j.id, j.domain_id, j.status
    FROM pacewheel.jobs j
    WHERE j.id = $1
    FOR NO KEY UPDATE
), live AS MATERIALIZED (
    SELECT t.domain_id, t.id
    FROM job j
    JOIN pacewheel.tasks t ON t.domain_id = j.domain_id AND t.job_id = j.id AND t.status = 0
    WHERE j.status = ANY ($2::smallint[])
    UNION ALL
    SELECT t.domain_id, t.id
    FROM job j
    JOIN pacewheel.tasks t ON t.domain_id = j.domain_id AND t.job_id = j.id AND t.status = 1
    WHERE j.status = ANY ($2::smallint[])
), ended AS (
    UPDATE pacewheel.tasks t
    SET status = 6, finished_at = now(), ready_at = NULL, waiting_reason = NULL
    FROM live l
    WHERE t.domain_id = l.domain_id AND t.id = l.id AND t.status < 2
    RETURNING t.id
), closed AS (
    UPDATE pacewheel.jobs j
    SET
        status = $3::smallint, error = $4::text, finished_at = now(), discovery_open = false,
        pending = 0, waiting = 0, backoff = 0,
        cancelled = j.cancelled + (SELECT count(*) FROM ended)
    FROM job l
    WHERE j.id = l.id AND l.status = ANY ($2::smallint[])
    RETURNING pacewheel.job_sums(to_jsonb(j)) AS sums
), discarded AS (
    DELETE FROM pacewheel.priority_updates p
    USING job l
    WHERE p.domain_id = l.domain_id AND p.job_id = l.id AND l.status < 3
)
SELECT j.status, j.domain_id, (SELECT count(*) FROM ended) AS cancelled, (SELECT c.sums FROM closed c) AS sums
FROM job j
