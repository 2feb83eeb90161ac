-- purpose: name jobs with their domain, for a comparison of all of them
-- params: $1 job ids or null (all), $2 go on behind this id, $3 most jobs
-- returns: id, domain_id, total, by id
-- index: jobs_pkey
-- rows: at most $3
SELECT j.id, j.domain_id, j.total
FROM pacewheel.jobs j
WHERE ($1::bigint[] IS NULL OR j.id = ANY ($1::bigint[])) AND j.id > $2
ORDER BY j.id
LIMIT $3
