WITH locked AS MATERIALIZED (
    SELECT j.id FROM counted.jobs j WHERE j.id = 1 FOR NO KEY UPDATE
), completed AS (
    UPDATE counted.tasks t
    SET status = 3, finished_at = now(), attempt = attempt + 1
    FROM unnest($1::bigint[]) AS i (id)
    WHERE t.domain_id = 1 AND t.id = i.id AND t.status < 1 AND (SELECT count(*) FROM locked) > 0
    RETURNING t.job_id
)
UPDATE counted.jobs j
SET pending = j.pending - c.n, completed = j.completed + c.n
FROM (SELECT d.job_id, count(*) AS n FROM completed d GROUP BY d.job_id) c
WHERE j.id = c.job_id
