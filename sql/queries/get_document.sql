-- purpose: read a text that an earlier task of the job left
-- params: $1 domain id, $2 job id, $3 name
-- returns: body
-- index: documents_pkey
-- rows: 0 or 1
SELECT d.body
FROM pacewheel.documents d
WHERE d.domain_id = $1 AND d.job_id = $2 AND d.name = $3
