-- purpose: find the oldest live job of a domain for a handler
-- params: $1 domain name, $2 handler
-- returns: id
-- index: domains_name_key, jobs_live
-- rows: 0 or 1
SELECT j.id
FROM pacewheel.domains d
JOIN pacewheel.jobs j ON j.domain_id = d.id AND j.status < 3
WHERE d.name = $1 AND j.handler = $2
ORDER BY j.id
LIMIT 1
