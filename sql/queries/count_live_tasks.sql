-- purpose: count what is left to do for these handlers, so that run_until_idle knows when to return
-- params: $1 handlers
-- returns: pending, waiting
-- index: jobs_live
-- rows: 1
SELECT coalesce(sum(j.pending), 0)::bigint AS pending, coalesce(sum(j.waiting), 0)::bigint AS waiting
FROM pacewheel.jobs j
WHERE j.status < 2 AND j.handler = ANY ($1::text[])
