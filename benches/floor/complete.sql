UPDATE floor_tasks t
SET status = 3, finished_at = now(), attempt = attempt + 1
FROM unnest($1::bigint[], $2::bigint[]) AS i (domain_id, id)
WHERE t.domain_id = i.domain_id AND t.id = i.id
