-- purpose: sum up the live jobs for people and metrics: jobs, tasks by state, how many wait for which reason
-- params: none
-- returns: jobs_active, jobs_paused, domains_active, domains_blocked, workers_alive, the jobs' counters summed (pending without what runs), waiting_by_reason (JSON text, reason to tasks), attempts and enqueued (all ever, by the server's statistics)
-- index: jobs_live, jobs_pkey, domains_pkey, tasks_pkey, workers_alive
-- rows: 1
-- Reads each live job, its domain and its running tasks once, and none that waits. The counters of final jobs would
-- be a scan of all that ever were, so rates rest on what the server counts anyway.
WITH live AS MATERIALIZED (
    SELECT
        s.domain_id, s.pending, s.backoff, s.scheduled, s.running, s.startable, s.pending_reason, j.status, j.total,
        j.completed, j.failed, j.skipped, j.cancelled
    FROM pacewheel.jobs j
    JOIN pacewheel.job_states s ON s.job_id = j.id
    WHERE j.status < 3
), reasons AS (
    SELECT r.reason, sum(r.tasks)::bigint AS tasks
    FROM live l
    CROSS JOIN LATERAL (
        VALUES
            ('worker_capacity', l.startable), (l.pending_reason, l.pending - l.startable),
            ('retry_backoff', l.backoff), ('scheduled', l.scheduled)
    ) AS r (reason, tasks)
    GROUP BY r.reason
)
SELECT
    count(*) AS jobs_active,
    count(*) FILTER (WHERE l.status = 2) AS jobs_paused,
    count(DISTINCT l.domain_id) AS domains_active,
    count(DISTINCT l.domain_id) FILTER (WHERE l.pending_reason = 'domain_blocked') AS domains_blocked,
    (
        SELECT count(*) FROM pacewheel.workers w WHERE w.dead_at IS NULL AND w.lease_until > statement_timestamp()
    ) AS workers_alive,
    coalesce(sum(l.total), 0)::bigint AS total,
    coalesce(sum(l.pending), 0)::bigint AS pending,
    coalesce(sum(l.backoff + l.scheduled), 0)::bigint AS waiting,
    coalesce(sum(l.running), 0)::bigint AS running,
    coalesce(sum(l.completed), 0)::bigint AS completed,
    coalesce(sum(l.failed), 0)::bigint AS failed,
    coalesce(sum(l.skipped), 0)::bigint AS skipped,
    coalesce(sum(l.cancelled), 0)::bigint AS cancelled,
    (SELECT coalesce(jsonb_object_agg(r.reason, r.tasks), '{}') FROM reasons r WHERE r.reason IS NOT NULL)::text
        AS waiting_by_reason,
    (
        SELECT coalesce(sum(pg_stat_get_tuples_inserted(i.inhrelid)), 0)::bigint
        FROM pg_inherits i
        WHERE i.inhparent = 'pacewheel.results'::regclass
    ) AS attempts,
    pg_stat_get_tuples_inserted('pacewheel.tasks'::regclass) AS enqueued
FROM live l
