-- purpose: name the handlers that live jobs need and no living worker has, for the doctor
-- params: none
-- returns: handler, jobs, tasks; the most tasks first
-- index: jobs_live, workers_alive
-- rows: one such handler
SELECT j.handler, count(*) AS jobs, sum(j.pending + j.waiting)::bigint AS tasks
FROM pacewheel.jobs j
WHERE
    j.status < 2 AND j.pending + j.waiting > 0 AND NOT EXISTS (
        SELECT
        FROM pacewheel.workers w
        WHERE w.dead_at IS NULL AND w.lease_until > statement_timestamp() AND j.handler = ANY (w.handlers)
    )
GROUP BY j.handler
ORDER BY 3 DESC
