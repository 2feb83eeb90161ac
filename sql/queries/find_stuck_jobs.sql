-- purpose: find jobs whose claimable tasks have seen no progress for long, beyond what their gates explain
-- params: $1 seconds without progress
-- returns: job_id, domain, tasks, reason, holder, idle_s (since its last progress), longest first
-- index: jobs_live, domains_pkey, tasks_pkey
-- rows: one a stuck job
-- Paused jobs, tasks that wait for their own time and a domain that asked for a longer pause are as they should be; a
-- gap longer than the limit counts twice.
SELECT w.job_id, w.domain, w.tasks, w.reason, w.holder, i.idle_s
FROM pacewheel.waiting w
JOIN pacewheel.jobs j ON j.id = w.job_id
JOIN pacewheel.domains d ON d.id = w.domain_id
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM statement_timestamp() - greatest(
        j.last_progress_at, j.resumed_at, j.created_at, nullif(d.blocked_until, '-infinity')
    ))::float8 AS idle_s
) i
WHERE
    w.reason IN ('domain_delay', 'concurrency_limit', 'worker_capacity')
    AND i.idle_s > greatest($1::float8, 2 * d.gap_ms / 1000.0)
ORDER BY i.idle_s DESC
