-- purpose: read what never changes of jobs
-- params: $1 job ids
-- returns: id, handler, options (JSON text)
-- index: jobs_pkey
-- rows: at most those asked for
SELECT j.id, j.handler, j.options::text AS options
FROM pacewheel.jobs j
WHERE j.id = ANY ($1::bigint[])
