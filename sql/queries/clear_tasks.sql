-- purpose: remove tasks of a pruned job
-- params: $1 job id, $2 most tasks to look at
-- returns: seen (tasks looked at), cleared, tasks_left
-- index: pruned_jobs_pkey, tasks_pkey
-- rows: 0 or 1
-- `tasks_to` says how far it came, so that nobody reads again what is gone.
WITH job AS MATERIALIZED (
    SELECT p.domain_id, p.tasks_to FROM pacewheel.pruned_jobs p WHERE p.job_id = $1
), seen AS MATERIALIZED (
    SELECT t.id, t.job_id
    FROM pacewheel.tasks t
    WHERE
        t.domain_id = (SELECT j.domain_id FROM job j) AND t.id > (SELECT j.tasks_to FROM job j)
        AND t.id BETWEEN pacewheel.first_task_id($1) AND pacewheel.last_task_id($1)
    ORDER BY t.id
    LIMIT $2
), cleared AS (
    DELETE FROM pacewheel.tasks t
    WHERE
        t.domain_id = (SELECT j.domain_id FROM job j)
        AND t.id = ANY (ARRAY(SELECT s.id FROM seen s WHERE s.job_id = $1)) AND t.job_id = $1
    RETURNING t.id
), counted AS (
    UPDATE pacewheel.pruned_jobs p
    SET
        tasks_left = p.tasks_left - (SELECT count(*) FROM cleared),
        tasks_to = greatest(p.tasks_to, (SELECT max(s.id) FROM seen s))
    WHERE p.job_id = $1
    RETURNING p.tasks_left
)
SELECT
    (SELECT count(*) FROM seen)::integer AS seen,
    (SELECT count(*) FROM cleared)::integer AS cleared,
    c.tasks_left
FROM counted c
