-- purpose: give live tasks of a job another priority, higher or lower; what was to raise them is void
-- params: $1 job id, $2 task ids, $3 their priorities
-- returns: status (of the job), domain_id, changed (tasks); no row for an unknown job
-- index: jobs_pkey, tasks_pkey, priority_updates_pkey
-- rows: 0 or 1
-- A task that runs keeps its slot; the priority counts if it is claimed again.
WITH job AS MATERIALIZED (
    SELECT j.id, j.domain_id, j.status
    FROM pacewheel.jobs j
    WHERE j.id = $1
    FOR NO KEY UPDATE
), asked AS MATERIALIZED (
    SELECT DISTINCT ON (a.id) j.domain_id, a.id, a.priority
    FROM job j
    CROSS JOIN unnest($2::bigint[], $3::float8[]) WITH ORDINALITY AS a (id, priority, position)
    WHERE j.status < 3
    ORDER BY a.id, a.position DESC
), live AS MATERIALIZED (
    SELECT t.domain_id, t.id, a.priority
    FROM asked a
    JOIN pacewheel.tasks t ON t.domain_id = a.domain_id AND t.id = a.id
    WHERE t.job_id = $1 AND t.status < 2
    ORDER BY t.id
    FOR NO KEY UPDATE OF t
), changed AS (
    UPDATE pacewheel.tasks t
    SET priority = l.priority
    FROM live l
    WHERE t.domain_id = l.domain_id AND t.id = l.id AND t.priority <> l.priority
    RETURNING t.id
), voided AS (
    DELETE FROM pacewheel.priority_updates u
    USING live l
    WHERE u.domain_id = l.domain_id AND u.task_id = l.id
), poked AS (
    UPDATE pacewheel.jobs j
    SET poke = j.poke + 1
    WHERE j.id = (SELECT l.id FROM job l) AND (SELECT count(*) FROM changed) > 0
)
SELECT j.status, j.domain_id, (SELECT count(*) FROM changed)::integer AS changed
FROM job j
