UPDATE counted.tasks t
SET status = 3, finished_at = now(), attempt = attempt + 1
FROM unnest($1::bigint[]) AS i (id)
WHERE t.domain_id = 1 AND t.id = i.id AND t.status < 1
