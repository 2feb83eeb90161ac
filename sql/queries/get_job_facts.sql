-- purpose: read what a process must know of jobs to take, run and refuse their tasks; the cache of jobs loads by it
-- params: $1 job ids
-- returns: id, domain_id, handler, status, concurrency, max_tasks, options (JSON text); no row for an unknown job
-- index: jobs_pkey
-- rows: at most those asked for
SELECT j.id, j.domain_id, j.handler, j.status, j.concurrency, j.max_tasks, j.options::text AS options
FROM pacewheel.jobs j
WHERE j.id = ANY ($1::bigint[])
