-- purpose: read jobs with their counters, what runs, why the rest waits and when the next task may start
-- params: $1 job ids or null (all), $2 domain name or null (all), $3 whether to leave out final jobs, $4 most jobs
-- returns: one row a job, newest first
-- index: jobs_pkey, domains_pkey, tasks_pkey
-- rows: at most $4
SELECT
    j.id, d.name AS domain, j.handler, j.status, j.priority, j.concurrency, j.max_tasks, j.options::text AS options,
    j.discovery_open, j.total, j.pending - r.running AS pending, j.waiting, r.running, j.completed, j.failed,
    j.skipped, j.cancelled, j.created_at, j.started_at, j.finished_at, d.owner,
    CASE
        WHEN j.status >= 3 OR j.pending + j.waiting - r.running = 0 THEN NULL
        WHEN j.status = 2 THEN 'job_paused'
        WHEN d.blocked_until > c.now THEN 'domain_blocked'
        WHEN j.pending - r.running = 0 THEN 'retry_backoff'
        WHEN r.running >= j.concurrency THEN 'concurrency_limit'
        WHEN d.gap_ms > 0 AND d.next_slot_at > c.now THEN 'domain_delay'
        ELSE 'worker_capacity'
    END AS waiting_reason,
    CASE
        WHEN j.status >= 3 OR j.pending + j.waiting - r.running = 0 THEN NULL
        WHEN d.blocked_until > c.now THEN extract(epoch FROM d.blocked_until - c.now)::float8 * 1000
        WHEN j.pending - r.running = 0 THEN (
            SELECT extract(epoch FROM min(t.ready_at) - c.now)::float8 * 1000
            FROM pacewheel.tasks t
            WHERE t.domain_id = d.id AND t.status = 1
        )
        WHEN d.gap_ms > 0 AND d.next_slot_at > c.now THEN extract(epoch FROM d.next_slot_at - c.now)::float8 * 1000
        ELSE 0
    END AS next_start_in_ms,
    d.gap_ms
FROM pacewheel.jobs j
JOIN pacewheel.domains d ON d.id = j.domain_id
CROSS JOIN (SELECT clock_timestamp() AS now) c
CROSS JOIN LATERAL (
    SELECT count(*) AS running
    FROM unnest(d.in_flight) AS f (id)
    -- Looked up one by one: a join could read every pending task of the job.
    WHERE (SELECT t.job_id = j.id AND t.status = 0 FROM pacewheel.tasks t WHERE t.domain_id = d.id AND t.id = f.id)
) r
WHERE
    ($1::bigint[] IS NULL OR j.id = ANY ($1::bigint[]))
    AND ($2::text IS NULL OR d.name = $2)
    AND (NOT $3::boolean OR j.status < 3)
ORDER BY j.id DESC
LIMIT $4
