-- purpose: read failed tasks of a job as they were enqueued, page by page
-- params: $1 job id, $2 task ids or null (all that failed), $3 id of the last task of the page before or null, $4 most tasks
-- returns: id, target, key, priority, payload (JSON text), in the order of ids
-- index: jobs_pkey, tasks_failed
-- rows: at most $4
SELECT t.id, t.target, t.key, t.priority, t.payload::text AS payload
FROM pacewheel.jobs j
JOIN pacewheel.tasks t ON t.domain_id = j.domain_id AND t.job_id = j.id AND t.status = 4
WHERE
    j.id = $1 AND ($2::bigint[] IS NULL OR t.id IN (SELECT a.id FROM unnest($2::bigint[]) AS a (id)))
    AND ($3::bigint IS NULL OR t.id > $3)
ORDER BY t.id
LIMIT $4
