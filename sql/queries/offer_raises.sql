-- purpose: raise priorities of tasks by their keys: into the outbox, unless the row or the outbox has as high a one
-- params: a row each: $1 job id, $2 key, $3 priority; then $4 probe (0, then up for hash collisions), $5 whether to notify
-- returns: unknown (no such key), refused (their job is final or unknown), collided (positions to be offered again under the next probe), rung (whether a hint went out), and the raises that count, a row each: raised_domain_ids, raised_task_ids, raised_job_ids, raised_priorities
-- index: jobs_pkey, tasks_pkey, priority_updates_pkey
-- rows: 1
-- Locks the jobs in id order. All that is neither returned nor counted is suppressed: no higher than what is known, or
-- of a final task.
WITH locked AS MATERIALIZED (
    SELECT j.id, j.domain_id
    FROM pacewheel.jobs j
    WHERE j.id = ANY (ARRAY(SELECT DISTINCT u.id FROM unnest($1::bigint[]) AS u (id))) AND j.status < 3
    ORDER BY j.id
    FOR NO KEY UPDATE
), offered AS MATERIALIZED (
    SELECT
        l.domain_id, l.id AS job_id, i.position, i.key, i.priority, pacewheel.task_id(l.id, i.key, $4) AS id
    FROM unnest($1::bigint[], $2::text[], $3::float8[]) WITH ORDINALITY AS i (job_id, key, priority, position)
    JOIN locked l ON l.id = i.job_id
), looked_up AS MATERIALIZED (
    SELECT
        o.*, t.id IS NOT NULL AS is_found, t.job_id = o.job_id AND coalesce(t.key, t.target) = o.key AS is_known,
        t.status < 2 AND t.priority < o.priority AND o.priority < 'NaN' AS is_raise
    FROM offered o
    LEFT JOIN pacewheel.tasks t ON t.domain_id = o.domain_id AND t.id = o.id
), raised AS (
    INSERT INTO pacewheel.priority_updates AS p (domain_id, task_id, job_id, priority)
    SELECT u.domain_id, u.id, u.job_id, max(u.priority)
    FROM looked_up u
    WHERE u.is_known AND u.is_raise
    GROUP BY u.domain_id, u.id, u.job_id
    ORDER BY u.domain_id, u.id
    ON CONFLICT (domain_id, task_id) DO UPDATE SET priority = excluded.priority WHERE p.priority < excluded.priority
    RETURNING p.domain_id, p.task_id, p.job_id, p.priority
)
SELECT
    (SELECT count(*) FROM looked_up u WHERE NOT u.is_found)::integer AS unknown,
    cardinality($1::bigint[]) - (SELECT count(*) FROM offered)::integer AS refused,
    ARRAY(
        SELECT u.position::integer FROM looked_up u WHERE u.is_found AND NOT u.is_known ORDER BY u.position
    ) AS collided,
    (
        SELECT pg_notify('pacewheel', 'raised ' || string_agg(r.domain_id::text, ' '))
        FROM (SELECT DISTINCT r.domain_id FROM raised r LIMIT 300) r
        WHERE $5::boolean
        HAVING count(*) > 0
    ) IS NOT NULL AS rung,
    r.*
FROM (
    SELECT
        coalesce(array_agg(r.domain_id), '{}') AS raised_domain_ids,
        coalesce(array_agg(r.task_id), '{}') AS raised_task_ids,
        coalesce(array_agg(r.job_id), '{}') AS raised_job_ids,
        coalesce(array_agg(r.priority), '{}') AS raised_priorities
    FROM raised r
) r
