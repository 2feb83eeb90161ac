-- purpose: find jobs whose claimable tasks have seen no progress for long, beyond what their gates explain
-- params: $1 seconds without progress
-- returns: job_id, domain, tasks, reason, holder, idle_s (since its last progress), longest first
-- index: jobs_live, domains_pkey, tasks_pkey, tasks_claim
-- rows: one a stuck job
-- Paused jobs, tasks that wait for their own time, a domain that asked for a longer pause, and tasks that became
-- claimable only lately are as they should be. Of a slow domain's slots a job may wait for its share, twice as long.
-- A job says what the first of its tasks wait for: a worker, if one of them may start.
SELECT DISTINCT ON (i.idle_s, w.job_id)
    w.job_id, w.domain, (sum(w.tasks) OVER (PARTITION BY w.job_id))::bigint AS tasks, w.reason, w.holder, i.idle_s
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
    AND i.idle_s > $1::float8
    AND i.idle_s > 2 * d.gap_ms / 1000.0 / j.weight * (
        SELECT sum(o.weight) FROM pacewheel.jobs o WHERE o.domain_id = d.id AND o.status < 3 AND o.pending > 0
    )
    AND EXISTS (
        SELECT
        FROM pacewheel.tasks t
        WHERE
            t.domain_id = j.domain_id AND t.job_id = j.id AND t.status = 0 AND t.id <> ALL (d.in_flight)
            AND coalesce(t.ready_at, t.created_at) < statement_timestamp() - $1::float8 * interval '1 s'
        -- Looked up job by job: as a join it may be sought by the job's id alone.
        OFFSET 0
    )
ORDER BY i.idle_s DESC, w.job_id, w.reason = 'worker_capacity' DESC
