-- The whole engine: adaptive pace and breaker, retries told apart from schedules, raises in an outbox, failed tasks
-- found by job.

-- The gap that counts is the widest of the three, in one place. `failures` and `successes` are streaks: blocking
-- answers in a row, and answers since the pace was last changed. `block_reason` says why `blocked_until` lies ahead.
ALTER TABLE pacewheel.domains
    ADD COLUMN adaptive_delay_ms integer NOT NULL DEFAULT 0 CHECK (adaptive_delay_ms >= 0),
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN successes integer NOT NULL DEFAULT 0,
    ADD COLUMN block_reason text,
    ADD COLUMN gap_ms integer NOT NULL
        GENERATED ALWAYS AS (greatest(base_delay_ms, robots_delay_ms, adaptive_delay_ms)) STORED;

-- `backoff` counts those of `waiting` that wait for a retry; the others are scheduled. `error` says why a job
-- failed; `retries_job_id` names the final job whose failed tasks this one runs again. `reconciled_at`: the counters
-- were compared with the rows after every transaction had ended that began before this.
ALTER TABLE pacewheel.jobs
    ADD COLUMN backoff bigint NOT NULL DEFAULT 0,
    ADD COLUMN error text,
    ADD COLUMN resumed_at timestamptz,
    ADD COLUMN retries_job_id bigint,
    ADD COLUMN reconciled_at timestamptz;
-- Final jobs to be compared one last time; those are few, and their rows change no more.
CREATE INDEX jobs_unreconciled ON pacewheel.jobs (domain_id)
    WHERE status >= 3 AND (reconciled_at IS NULL OR reconciled_at < finished_at);
UPDATE pacewheel.jobs j
SET backoff = (SELECT count(*) FROM pacewheel.tasks t
               WHERE t.domain_id = j.domain_id AND t.job_id = j.id AND t.status = 1 AND t.waiting_reason = 0)
WHERE j.waiting > 0;

-- Connections that the process may open at most, for the sum that the server must bear.
ALTER TABLE pacewheel.workers ADD COLUMN connections integer NOT NULL DEFAULT 0;

-- Dead letters: rare, so the index costs a completion nothing. Listed by id, page after page.
CREATE INDEX tasks_failed ON pacewheel.tasks (domain_id, job_id, id) WHERE status = 4;

-- Outbox of raises, one row a task, merged by maximum: the durable image of the debounce buffers. NOTIFY is only its
-- bell.
CREATE TABLE pacewheel.priority_updates (
    domain_id bigint NOT NULL,
    task_id bigint NOT NULL,
    job_id bigint NOT NULL,
    priority double precision NOT NULL CHECK (priority < 'NaN'),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (domain_id, task_id)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

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
        ELSE greatest(
            0,
            extract(epoch FROM d.blocked_until - statement_timestamp()),
            CASE WHEN d.gap_ms > 0 THEN extract(epoch FROM d.next_slot_at - statement_timestamp()) END
        )::float8 * 1000
    END AS pending_in_ms
FROM pacewheel.jobs j
JOIN pacewheel.domains d ON d.id = j.domain_id
CROSS JOIN LATERAL (
    SELECT count(*) AS running
    FROM unnest(d.in_flight) AS f (id)
    -- Looked up one by one: a join could read every pending task of the job.
    WHERE (SELECT t.job_id = j.id AND t.status = 0 FROM pacewheel.tasks t WHERE t.domain_id = d.id AND t.id = f.id)
) r;

-- Why the tasks of live jobs wait: one row a job and reason. The sum of `tasks` is the number of live tasks that don't
-- run. `expected_in_ms`: when the first of them may start as far as is known, null when that depends on others;
-- `holder`: what they wait for.
CREATE VIEW pacewheel.waiting AS
SELECT
    s.job_id, s.domain_id, d.name AS domain, w.reason, w.tasks,
    CASE
        WHEN w.code IS NULL THEN s.pending_in_ms
        ELSE (
            SELECT extract(epoch FROM min(t.ready_at) - statement_timestamp())::float8 * 1000
            FROM pacewheel.tasks t
            WHERE t.domain_id = s.domain_id AND t.status = 1 AND t.job_id = s.job_id
                AND t.waiting_reason = w.code
        )
    END AS expected_in_ms,
    CASE w.reason
        WHEN 'job_paused' THEN format('job %s is paused', s.job_id)
        WHEN 'domain_blocked' THEN format('domain %s is blocked (%s)', d.name, coalesce(d.block_reason, 'retry_after'))
        WHEN 'concurrency_limit' THEN format('job %s runs %s of %s', s.job_id, s.running, j.concurrency)
        WHEN 'domain_delay' THEN format('domain %s permits a request every %s ms', d.name, d.gap_ms)
        WHEN 'retry_backoff' THEN 'their own delay after a failed attempt'
        WHEN 'scheduled' THEN 'the time they are scheduled for'
        ELSE CASE
            WHEN o.id IS NOT NULL THEN format('worker %s on %s has no free slot', o.id, o.host)
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
        WHEN t.status = 0 AND t.id = ANY (d.in_flight) THEN 'running'
        ELSE (ARRAY['pending', 'waiting', 'running', 'completed', 'failed', 'skipped', 'cancelled'])[t.status + 1]
    END AS state,
    CASE WHEN t.status < 2 THEN d.owner END AS owner,
    CASE
        WHEN t.status = 1 THEN (ARRAY['retry_backoff', 'scheduled'])[t.waiting_reason + 1]
        WHEN t.status = 0 AND t.id <> ALL (d.in_flight) THEN s.pending_reason
    END AS waiting_reason,
    t.created_at,
    t.ready_at,
    t.finished_at
FROM pacewheel.tasks t
JOIN pacewheel.domains d ON d.id = t.domain_id
LEFT JOIN pacewheel.job_states s ON s.job_id = t.job_id AND t.status = 0;
