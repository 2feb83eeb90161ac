WITH locked AS MATERIALIZED (
    SELECT j.id FROM counted.jobs j WHERE j.id = 1 FOR NO KEY UPDATE
), inserted AS (
    INSERT INTO counted.tasks (domain_id, id, job_id, priority, created_at, status, target)
    SELECT 1, pacewheel.task_id(1, i.target), l.id, 0, now(), 0, i.target
    FROM unnest($1::text[]) AS i (target), locked l
    RETURNING job_id
)
UPDATE counted.jobs j
SET total = j.total + c.n, pending = j.pending + c.n
FROM (SELECT i.job_id, count(*) AS n FROM inserted i GROUP BY i.job_id) c
WHERE j.id = c.job_id
