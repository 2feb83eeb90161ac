-- purpose: read the raises of some domains from the outbox, page by page
-- params: $1 domain ids, $2 domain id and $3 task id of the last one read, $4 most rows
-- returns: domain_id, task_id, job_id, priority, in this order
-- index: priority_updates_pkey
-- rows: at most $4
SELECT p.domain_id, p.task_id, p.job_id, p.priority
FROM pacewheel.priority_updates p
WHERE p.domain_id = ANY ($1::bigint[]) AND (p.domain_id, p.task_id) > ($2, $3)
ORDER BY p.domain_id, p.task_id
LIMIT $4
