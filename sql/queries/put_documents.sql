-- purpose: keep small texts for the later tasks of a job
-- params: a row each: $1 domain id, $2 job id, $3 name, $4 body
-- returns: nothing
-- index: documents_pkey
-- rows: 0
INSERT INTO pacewheel.documents (domain_id, job_id, name, body)
SELECT i.domain_id, i.job_id, i.name, i.body
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS i (domain_id, job_id, name, body)
ON CONFLICT (domain_id, job_id, name) DO UPDATE SET body = excluded.body
