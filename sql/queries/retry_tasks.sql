-- purpose: make failed tasks of a live job pending again
-- params: $1 job id, $2 task ids or null (all that failed), $3 most tasks, $4 id of the last task of the batch before or null
-- returns: status (of the job), domain_id, retried (tasks), last_id (of them); no row for an unknown job
-- index: jobs_pkey, tasks_failed, tasks_pkey
-- rows: 0 or 1
-- Attempts go on counting, since they fence every write; the handler's policy grants another round of them.
WITH job AS MATERIALIZED (
    SELECT j.id, j.domain_id, j.status
    FROM pacewheel.jobs j
    WHERE j.id = $1
    FOR NO KEY UPDATE
), failed AS MATERIALIZED (
    SELECT t.domain_id, t.id
    FROM job j
    CROSS JOIN LATERAL (
        SELECT f.domain_id, f.id
        FROM pacewheel.tasks f
        WHERE
            f.domain_id = j.domain_id AND f.job_id = j.id AND f.status = 4
            AND f.id > coalesce($4::bigint, -9223372036854775808)
            AND ($2::bigint[] IS NULL OR f.id IN (SELECT a.id FROM unnest($2::bigint[]) AS a (id)))
        ORDER BY f.id
        LIMIT $3
        FOR NO KEY UPDATE
    ) t
    WHERE j.status < 3
), retried AS (
    UPDATE pacewheel.tasks t
    SET status = 0, ready_at = clock_timestamp(), finished_at = NULL
    FROM failed f
    WHERE t.domain_id = f.domain_id AND t.id = f.id
    RETURNING t.id
), counted AS (
    UPDATE pacewheel.jobs j
    SET failed = j.failed - r.retried, pending = j.pending + r.retried, poke = j.poke + 1
    FROM (SELECT count(*) AS retried FROM retried) r
    WHERE j.id = (SELECT l.id FROM job l) AND r.retried > 0
)
SELECT
    j.status, j.domain_id,
    (SELECT count(*) FROM retried)::integer AS retried,
    (SELECT max(r.id) FROM retried r) AS last_id
FROM job j
