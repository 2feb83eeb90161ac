-- purpose: find tasks of a job by their keys
-- params: $1 job id, $2 keys
-- returns: one row a task that exists: position in $2, domain_id, id
-- index: jobs_pkey, tasks_pkey
-- rows: at most the keys asked for
-- An id is that of (job, key) under the first probe that was free, so the few probes there may be are looked up.
WITH wanted AS MATERIALIZED (
    SELECT j.id AS job_id, j.domain_id, k.key, k.position, pacewheel.task_id(j.id, k.key, p.probe) AS id
    FROM pacewheel.jobs j
    CROSS JOIN unnest($2::text[]) WITH ORDINALITY AS k (key, position)
    CROSS JOIN generate_series(0, 15) AS p (probe)
    WHERE j.id = $1
)
SELECT w.position::integer, w.domain_id, w.id
FROM wanted w
CROSS JOIN LATERAL (
    SELECT t.job_id, coalesce(t.key, t.target) AS key
    FROM pacewheel.tasks t
    WHERE t.domain_id = w.domain_id AND t.id = w.id
    LIMIT 1
) t
WHERE t.job_id = w.job_id AND t.key = w.key
ORDER BY w.position
