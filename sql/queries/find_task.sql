-- purpose: find a task by its id alone, for people who have nothing else
-- params: $1 task id
-- returns: domain_id, job_id; no row: there is none
-- index: domains_pkey, tasks_pkey
-- rows: at most 1
-- One lookup a domain: no index leads with the id, since nothing hot needs one.
SELECT d.id AS domain_id, t.job_id
FROM pacewheel.domains d
CROSS JOIN LATERAL (
    SELECT t.job_id FROM pacewheel.tasks t WHERE t.domain_id = d.id AND t.id = $1 LIMIT 1
) t
LIMIT 1
