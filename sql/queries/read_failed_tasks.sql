-- purpose: read failed tasks of a job as they were enqueued, page by page
-- params: $1 job id, $2 task ids or null (all that failed), $3 id of the last task of the page before or null, $4 most tasks
-- returns: id, target, key, priority, payload (JSON text), in the order of ids
-- index: jobs_pkey, tasks_failed
-- rows: at most $4
-- A page reads its own rows: by key, in the index's order.
SELECT t.id, t.target, t.key, t.priority, t.payload::text AS payload
FROM pacewheel.jobs j
CROSS JOIN LATERAL (
    SELECT f.id, f.target, f.key, f.priority, f.payload
    FROM pacewheel.tasks f
    WHERE
        f.domain_id = j.domain_id AND f.job_id = j.id AND f.status = 4
        AND f.id > coalesce($3::bigint, -9223372036854775808)
        AND ($2::bigint[] IS NULL OR f.id IN (SELECT a.id FROM unnest($2::bigint[]) AS a (id)))
    ORDER BY f.id
    LIMIT $4
) t
WHERE j.id = $1
ORDER BY t.id
