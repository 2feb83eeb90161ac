-- The views as they were; columns of a view go with the view only.
DROP VIEW pacewheel.task_states;
DROP VIEW pacewheel.waiting;
DROP VIEW pacewheel.startable_tasks;
DROP VIEW pacewheel.job_states;

-- Every job with what runs of it, and why its other pending tasks don't, one reason for all of them: they wait for
-- the same gates. Derived from the job's and its domain's row when somebody asks; times are of one statement. A
-- domain whose circuit is open stays blocked after its pause, until a probe was answered.
CREATE VIEW pacewheel.job_states AS
SELECT
    j.id AS job_id,
    j.domain_id,
    j.pending - r.running AS pending,
    j.backoff,
    j.waiting - j.backoff AS scheduled,
    r.running,
    CASE
        WHEN j.status > 2 THEN NULL
        WHEN j.status = 2 THEN 'job_paused'
        WHEN d.blocked_until > statement_timestamp() OR d.block_reason = 'circuit_open' THEN 'domain_blocked'
        WHEN r.running >= j.concurrency THEN 'concurrency_limit'
        WHEN d.gap_ms > 0 AND d.next_slot_at > statement_timestamp() THEN 'domain_delay'
        ELSE 'worker_capacity'
    END AS pending_reason,
    CASE
        WHEN j.status > 1 OR r.running >= j.concurrency THEN NULL
        ELSE extract(epoch FROM greatest(
            statement_timestamp(), d.blocked_until, CASE WHEN d.gap_ms > 0 THEN d.next_slot_at END
        ) - statement_timestamp())::float8 * 1000
    END AS pending_in_ms
FROM pacewheel.jobs j
JOIN pacewheel.domains d ON d.id = j.domain_id
CROSS JOIN LATERAL (
    SELECT count(*) AS running
    FROM unnest(d.in_flight) AS f (id)
    -- Looked up one by one: a join could read every pending task of the job.
    WHERE (
        SELECT t.job_id = j.id AND t.status = 0 AND (t.ready_at > d.claimed_at) IS NOT TRUE
        FROM pacewheel.tasks t
        WHERE t.domain_id = d.id AND t.id = f.id
    )
) r;

-- Why the tasks of live jobs wait: one row a job and reason. The sum of `tasks` is the number of live tasks that don't
-- run. `expected_in_ms`: when the first of them may start as far as is known, their own time and the domain's gates
-- together, null when that depends on others; `holder`: what they wait for.
CREATE VIEW pacewheel.waiting AS
SELECT
    s.job_id, s.domain_id, d.name AS domain, w.reason, w.tasks,
    CASE
        WHEN w.code IS NULL THEN s.pending_in_ms
        WHEN j.status < 2 THEN greatest(0, s.pending_in_ms, (
            SELECT extract(epoch FROM min(t.ready_at) - statement_timestamp())::float8 * 1000
            FROM pacewheel.tasks t
            WHERE t.domain_id = s.domain_id AND t.status = 1 AND t.job_id = s.job_id
                AND t.waiting_reason = w.code
        ))
    END AS expected_in_ms,
    CASE w.reason
        WHEN 'job_paused' THEN format('job %s is paused', s.job_id)
        WHEN 'domain_blocked' THEN format('domain %s is blocked (%s)', d.name, coalesce(d.block_reason, 'retry_after'))
        WHEN 'concurrency_limit' THEN format('job %s runs %s of %s', s.job_id, s.running, j.concurrency)
        WHEN 'domain_delay' THEN format('domain %s permits a request every %s ms', d.name, d.gap_ms)
        WHEN 'retry_backoff' THEN 'their own delay after a failed attempt'
        WHEN 'scheduled' THEN 'the time they are scheduled for'
        ELSE CASE
            WHEN j.handler = ANY (o.handlers) THEN format('worker %s on %s has no free slot', o.id, o.host)
            WHEN o.id IS NOT NULL THEN format(
                'worker %s on %s holds domain %s and runs no handler %s', o.id, o.host, d.name, j.handler
            )
            ELSE format('no worker that knows handler %s holds domain %s yet', j.handler, d.name)
        END
    END AS holder
FROM pacewheel.job_states s
JOIN pacewheel.jobs j ON j.id = s.job_id
JOIN pacewheel.domains d ON d.id = s.domain_id
LEFT JOIN pacewheel.workers o ON o.id = d.owner AND o.dead_at IS NULL
CROSS JOIN LATERAL (
    VALUES (NULL, s.pending_reason, s.pending), (0, 'retry_backoff', s.backoff), (1, 'scheduled', s.scheduled)
) AS w (code, reason, tasks)
WHERE j.status < 3 AND w.tasks > 0;

-- Every task with its true state, owner and reason, for people and reports; nothing hot reads it. A pending row keeps
-- the `ready_at` at which it became claimable, if it ever waited.
CREATE VIEW pacewheel.task_states AS
SELECT
    t.domain_id,
    t.id,
    t.job_id,
    d.name AS domain,
    t.target,
    t.priority,
    t.attempt,
    CASE
        WHEN r.runs THEN 'running'
        ELSE (ARRAY['pending', 'waiting', 'running', 'completed', 'failed', 'skipped', 'cancelled'])[t.status + 1]
    END AS state,
    CASE WHEN t.status < 2 THEN d.owner END AS owner,
    CASE
        WHEN t.status = 1 THEN (ARRAY['retry_backoff', 'scheduled'])[t.waiting_reason + 1]
        WHEN t.status = 0 AND NOT r.runs THEN s.pending_reason
    END AS waiting_reason,
    t.created_at,
    t.ready_at,
    t.finished_at
FROM pacewheel.tasks t
JOIN pacewheel.domains d ON d.id = t.domain_id
CROSS JOIN LATERAL (
    SELECT t.status = 0 AND t.id = ANY (d.in_flight) AND (t.ready_at > d.claimed_at) IS NOT TRUE AS runs
) r
LEFT JOIN pacewheel.job_states s ON s.job_id = t.job_id AND t.status = 0;

ALTER TABLE pacewheel.domains DROP COLUMN refused_at;
