-- purpose: remove tasks of a pruned job that no result names, among all tasks of its domain
-- params: $1 job id, $2 most tasks to look at
-- returns: seen (tasks of the domain), cleared, tasks_left
-- index: pruned_jobs_pkey, tasks_pkey
-- rows: 0 or 1
-- They were cancelled before they ran, or their results are gone: then the domain is read once, in bounded pieces.
WITH job AS MATERIALIZED (
    SELECT p.domain_id, p.tasks_to FROM pacewheel.pruned_jobs p WHERE p.job_id = $1
), seen AS MATERIALIZED (
    SELECT t.id, t.job_id
    FROM pacewheel.tasks t
    WHERE t.domain_id = (SELECT j.domain_id FROM job j) AND t.id > (SELECT j.tasks_to FROM job j)
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
