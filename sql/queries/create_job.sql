-- purpose: create a job of a domain that put_domain has seen to
-- params: $1 domain name, $2 handler, $3 priority, $4 concurrency, $5 max_tasks or null, $6 options (JSON text)
-- returns: id, domain_id; no row: the domain is gone, see prune_domains
-- index: domains_name_key
-- rows: 1
INSERT INTO pacewheel.jobs (domain_id, handler, priority, concurrency, max_tasks, options)
SELECT d.id, $2, $3, $4, $5, $6::text::jsonb
FROM pacewheel.domains d
WHERE d.name = $1
FOR KEY SHARE OF d
RETURNING id, domain_id
