-- purpose: read what is needed to settle tasks that a dead owner left in flight
-- params: $1 domain id of each, $2 task id of each
-- returns: domain_id, id, job_id, attempt (used before), handler; only tasks still pending
-- index: tasks_pkey, jobs_pkey, domains_pkey
-- rows: at most those asked for
-- A task that became claimable after the last claim was not running any more: its last attempt is settled.
SELECT t.domain_id, t.id, t.job_id, t.attempt, j.handler
FROM unnest($1::bigint[], $2::bigint[]) AS l (domain_id, id)
JOIN pacewheel.tasks t ON t.domain_id = l.domain_id AND t.id = l.id
JOIN pacewheel.jobs j ON j.id = t.job_id
JOIN pacewheel.domains d ON d.id = t.domain_id
-- Not `= 0`: that would offer the planner a hash join with all of tasks_claim.
WHERE t.status < 1 AND (t.ready_at > d.claimed_at) IS NOT TRUE
