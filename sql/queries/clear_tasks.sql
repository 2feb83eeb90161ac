-- purpose: remove tasks of a pruned job, found by its results
-- params: $1 job id, $2 most tasks
-- returns: seen (tasks that the results name), cleared, tasks_left
-- index: pruned_jobs_pkey, results_by_task, tasks_pkey
-- rows: 0 or 1
-- No index finds the tasks of a job, for it would cost every settle; every task that was run has a result. Not
-- by their time too: a probe of each partition is cheap, and an index by time would be taken for the one by task.
WITH job AS MATERIALIZED (
    SELECT p.domain_id, p.results_to
    FROM pacewheel.pruned_jobs p
    WHERE p.job_id = $1
), seen AS MATERIALIZED (
    SELECT DISTINCT r.task_id
    FROM pacewheel.results r
    WHERE r.job_id = $1 AND r.task_id > (SELECT j.results_to FROM job j)
    ORDER BY r.task_id
    LIMIT $2
), cleared AS (
    DELETE FROM pacewheel.tasks t
    WHERE
        t.domain_id = (SELECT j.domain_id FROM job j) AND t.id = ANY (ARRAY(SELECT s.task_id FROM seen s))
        AND t.job_id = $1
    RETURNING t.id
), counted AS (
    UPDATE pacewheel.pruned_jobs p
    SET
        tasks_left = p.tasks_left - (SELECT count(*) FROM cleared),
        results_to = greatest(p.results_to, (SELECT max(s.task_id) FROM seen s))
    WHERE p.job_id = $1
    RETURNING p.tasks_left
)
SELECT
    (SELECT count(*) FROM seen)::integer AS seen,
    (SELECT count(*) FROM cleared)::integer AS cleared,
    c.tasks_left
FROM counted c
