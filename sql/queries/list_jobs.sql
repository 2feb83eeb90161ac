-- purpose: read jobs with their counters, what runs, why the rest waits and when the next task may start
-- params: $1 job ids or null (all), $2 domain name or null (all), $3 whether to leave out final jobs, $4 most jobs, $5 id below which to begin or null (the newest)
-- returns: one row a job, newest first
-- index: jobs_pkey, domains_pkey, domains_name_key, tasks_pkey, workers_alive
-- rows: at most $4
-- The jobs are named first, so that the one plan there is finds given ids by key instead of passing all newer jobs.
WITH named AS MATERIALIZED (
    SELECT g.id FROM unnest($1::bigint[]) AS g (id)
    UNION ALL
    (
        SELECT j.id
        FROM pacewheel.jobs j
        WHERE
            $1::bigint[] IS NULL
            AND ($2::text IS NULL OR j.domain_id = (SELECT d.id FROM pacewheel.domains d WHERE d.name = $2))
            AND (NOT $3::boolean OR j.status < 3)
            AND j.id < coalesce($5::bigint, 9223372036854775807)
        ORDER BY j.id DESC
        LIMIT $4
    )
)
SELECT
    j.id, d.name AS domain, j.handler, j.status, j.priority, j.concurrency, j.max_tasks, j.options::text AS options,
    j.discovery_open, j.error, j.retries_job_id, j.total, s.pending, j.waiting, s.running, j.completed, j.failed,
    j.skipped, j.cancelled, j.created_at, j.started_at, j.finished_at, d.owner,
    CASE
        WHEN s.startable > 0 THEN 'worker_capacity'
        WHEN s.pending > 0 THEN s.pending_reason
        WHEN s.backoff > 0 THEN 'retry_backoff'
        WHEN s.scheduled > 0 THEN 'scheduled'
    END AS waiting_reason,
    CASE
        WHEN s.pending > 0 THEN s.pending_in_ms
        WHEN j.waiting > 0 THEN (
            SELECT extract(epoch FROM min(t.ready_at) - statement_timestamp())::float8 * 1000
            FROM pacewheel.tasks t
            WHERE t.domain_id = d.id AND t.status = 1 AND t.job_id = j.id
        )
    END AS next_start_in_ms,
    d.gap_ms,
    (
        SELECT count(*)
        FROM pacewheel.workers w
        WHERE w.dead_at IS NULL AND w.lease_until > statement_timestamp() AND j.handler = ANY (w.handlers)
    ) AS workers_alive
FROM pacewheel.jobs j
JOIN pacewheel.domains d ON d.id = j.domain_id
JOIN pacewheel.job_states s ON s.job_id = j.id
WHERE
    j.id = ANY (ARRAY(SELECT n.id FROM named n))
    AND ($2::text IS NULL OR d.name = $2)
    AND (NOT $3::boolean OR j.status < 3)
ORDER BY j.id DESC
LIMIT $4
