-- purpose: keep which tasks of a job the tasks of a batch refer to, each list once
-- params: a row a list: $1 domain id, $2 job id, $3 id (the hash of what it holds), $4 name; a row a key: $5 number of its list (from 1), $6 key
-- returns: nothing
-- index: link_lists_pkey
-- rows: 0
-- A task's id follows from its key, so nothing is looked up. Of two keys with one hash the second one's task has
-- another id: once in 2^48 a link points at the wrong one.
INSERT INTO pacewheel.link_lists (domain_id, job_id, id, name, targets)
SELECT l.domain_id, l.job_id, l.id, l.name, array_agg(pacewheel.task_id(l.job_id, k.key) ORDER BY k.position)
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) WITH ORDINALITY
    AS l (domain_id, job_id, id, name, number)
JOIN unnest($5::bigint[], $6::text[]) WITH ORDINALITY AS k (list, key, position) ON k.list = l.number
GROUP BY l.domain_id, l.job_id, l.id, l.name
ORDER BY l.domain_id, l.job_id, l.id
ON CONFLICT (domain_id, job_id, id) DO NOTHING
