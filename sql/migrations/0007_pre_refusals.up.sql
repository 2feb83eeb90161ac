-- When a site last refused a request (429, 503), and, of the pending tasks, those that wait for a worker told apart
-- from those that wait behind them.
ALTER TABLE pacewheel.domains ADD COLUMN refused_at timestamptz;

-- Every job with what runs of it, and why its other pending tasks don't, derived from the job's row, its domain's and
-- its owner's when somebody asks; times are of one statement. `startable` of them could start now and wait for a
-- worker: one where the domain has a gap, else as many as the job's limit leaves. All others wait for `pending_reason`.
-- Where no worker that would run them holds the domain, all of them wait for one. Which of several jobs gets a domain's
-- slot is known to its owner alone, so here each has a startable task. A domain whose circuit is open stays blocked
-- after its pause, until a probe was answered.
CREATE OR REPLACE VIEW pacewheel.job_states AS
SELECT
    j.id AS job_id,
    j.domain_id,
    j.pending - r.running AS pending,
    j.backoff,
    j.waiting - j.backoff AS scheduled,
    r.running,
    CASE
        WHEN j.status > 2 THEN NULL
        WHEN g.gate IS NOT NULL THEN g.gate
        WHEN NOT g.served THEN 'worker_capacity'
        WHEN d.gap_ms > 0 THEN 'domain_delay'
        ELSE 'concurrency_limit'
    END AS pending_reason,
    CASE
        WHEN j.status > 1 OR r.running >= j.concurrency OR (g.gate IS NULL AND NOT g.served) THEN NULL
        ELSE extract(
            epoch FROM greatest(statement_timestamp(), d.blocked_until, d.next_slot_at) - statement_timestamp()
        )::float8 * 1000
    END AS pending_in_ms,
    CASE
        WHEN j.status > 2 OR g.gate IS NOT NULL OR NOT g.served THEN 0
        ELSE greatest(0, least(
            j.pending - r.running, CASE WHEN d.gap_ms > 0 THEN 1 ELSE j.concurrency - r.running END
        ))
    END AS startable
FROM pacewheel.jobs j
JOIN pacewheel.domains d ON d.id = j.domain_id
LEFT JOIN pacewheel.workers o ON o.id = d.owner AND o.dead_at IS NULL AND o.lease_until > statement_timestamp()
CROSS JOIN LATERAL (
    -- Once a domain, whatever its jobs; looked up one by one: a join could read every pending task.
    SELECT array_agg((
        SELECT t.job_id
        FROM pacewheel.tasks t
        WHERE
            t.domain_id = d.id AND t.id = f.id AND t.status < 1
            AND (t.ready_at > d.claimed_at) IS NOT TRUE
    )) AS job_ids
    FROM unnest(d.in_flight) AS f (id)
) w
CROSS JOIN LATERAL (
    SELECT coalesce(cardinality(array_positions(w.job_ids, j.id)), 0)::bigint AS running
) r
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN j.status = 2 THEN 'job_paused'
            WHEN d.blocked_until > statement_timestamp() OR d.block_reason = 'circuit_open' THEN 'domain_blocked'
            WHEN r.running >= j.concurrency THEN 'concurrency_limit'
            -- Without a gap of its own too: its owner may keep one, because of slow answers.
            WHEN d.next_slot_at > statement_timestamp() THEN 'domain_delay'
        END AS gate,
        coalesce(j.handler = ANY (o.handlers), false) AS served
) g;

-- The tasks that `startable` counts: those that would be claimed first.
CREATE VIEW pacewheel.startable_tasks AS
SELECT s.job_id, t.id
FROM pacewheel.job_states s
JOIN pacewheel.domains d ON d.id = s.domain_id
CROSS JOIN LATERAL (
    SELECT t.id
    FROM pacewheel.tasks t
    WHERE
        t.domain_id = s.domain_id AND t.job_id = s.job_id AND t.status = 0
        AND NOT (t.id = ANY (d.in_flight) AND (t.ready_at > d.claimed_at) IS NOT TRUE)
    ORDER BY t.priority DESC, t.id DESC
    LIMIT s.startable
) t;

-- Why the tasks of live jobs wait: one row a job and reason. The sum of `tasks` is the number of live tasks that don't
-- run. `expected_in_ms`: when the first of them may start as far as is known, their own time and the domain's gates
-- together, null when that depends on others; `holder`: what they wait for.
CREATE OR REPLACE VIEW pacewheel.waiting AS
SELECT
    s.job_id, s.domain_id, d.name AS domain, w.reason, w.tasks,
    CASE
        WHEN w.is_behind AND s.startable > 0 THEN CASE WHEN d.gap_ms > 0 THEN d.gap_ms::float8 END
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
        WHEN 'domain_delay' THEN CASE d.gap_ms
            WHEN 0 THEN format('domain %s answers slowly', d.name)
            ELSE format('domain %s permits a request every %s ms', d.name, d.gap_ms)
        END
        WHEN 'retry_backoff' THEN 'their own delay after a failed attempt'
        WHEN 'scheduled' THEN 'the time they are scheduled for'
        ELSE CASE
            WHEN j.handler = ANY (o.handlers) THEN format('a free slot of worker %s on %s', o.id, o.host)
            WHEN o.id IS NOT NULL THEN format(
                'worker %s on %s holds domain %s and runs no handler %s', o.id, o.host, d.name, j.handler
            )
            ELSE format('no worker that knows handler %s holds domain %s yet', j.handler, d.name)
        END
    END AS holder
FROM pacewheel.job_states s
JOIN pacewheel.jobs j ON j.id = s.job_id
JOIN pacewheel.domains d ON d.id = s.domain_id
LEFT JOIN pacewheel.workers o ON o.id = d.owner AND o.dead_at IS NULL AND o.lease_until > statement_timestamp()
CROSS JOIN LATERAL (
    VALUES
        (NULL, false, 'worker_capacity', s.startable),
        (NULL, true, s.pending_reason, s.pending - s.startable),
        (0, false, 'retry_backoff', s.backoff),
        (1, false, 'scheduled', s.scheduled)
) AS w (code, is_behind, reason, tasks)
WHERE j.status < 3 AND w.tasks > 0;

CREATE OR REPLACE VIEW pacewheel.task_states AS
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
        WHEN t.status = 0 AND NOT r.runs THEN CASE
            WHEN t.id = ANY (ARRAY(SELECT f.id FROM pacewheel.startable_tasks f WHERE f.job_id = t.job_id))
                THEN 'worker_capacity'
            ELSE s.pending_reason
        END
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
