-- The whole engine: adaptive pace and breaker, retries told apart from schedules, raises in an outbox, failed tasks
-- found by job.

-- The gap that counts is the widest of the three, in one place. `failures` and `successes` are streaks: blocking
-- answers in a row, and answers since the pace was last changed. `block_reason` says why `blocked_until` lies ahead.
-- `claimed_at`: when `in_flight` was written; a task that became claimable since then is not the one that ran.
ALTER TABLE pacewheel.domains
    ADD COLUMN adaptive_delay_ms integer NOT NULL DEFAULT 0 CHECK (adaptive_delay_ms >= 0),
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN successes integer NOT NULL DEFAULT 0,
    ADD COLUMN block_reason text,
    ADD COLUMN claimed_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN gap_ms integer NOT NULL
        GENERATED ALWAYS AS (greatest(base_delay_ms, robots_delay_ms, adaptive_delay_ms)) STORED;

-- `backoff` counts those of `waiting` that wait for a retry; the others are scheduled. `error` says why a job
-- failed; `retries_job_id` names the final job whose failed tasks this one runs again. `reconciled_at`: the counters
-- were compared with the rows after every transaction had ended that began before this. `weight`: its part of the slots
-- of its domain, against the weights of the other jobs. It is bounded, so that the least of two jobs gets one slot in
-- 4,096 at least.
ALTER TABLE pacewheel.jobs
    ADD COLUMN backoff bigint NOT NULL DEFAULT 0,
    ADD COLUMN error text,
    ADD COLUMN resumed_at timestamptz,
    ADD COLUMN retries_job_id bigint,
    ADD COLUMN reconciled_at timestamptz,
    ADD COLUMN weight double precision NOT NULL
        GENERATED ALWAYS AS (power(8, least(greatest(priority, -2), 2))) STORED;
-- Final jobs to be compared one last time; those are few, and their rows change no more.
CREATE INDEX jobs_unreconciled ON pacewheel.jobs (domain_id)
    WHERE status >= 3 AND (reconciled_at IS NULL OR reconciled_at < finished_at);
UPDATE pacewheel.jobs j
SET backoff = (SELECT count(*) FROM pacewheel.tasks t
               WHERE t.domain_id = j.domain_id AND t.job_id = j.id AND t.status = 1 AND t.waiting_reason = 0)
WHERE j.waiting > 0;

-- Connections that the process may open at most, for the sum that the server must bear.
ALTER TABLE pacewheel.workers ADD COLUMN connections integer NOT NULL DEFAULT 0;

-- Gives out the server's connections, one process at a time. A function, because the sum must be read by a statement
-- that begins after the lock is had, and no client may stop between the two. Each share leaves room for the least of
-- one more process, so that a newcomer finds it.
CREATE FUNCTION pacewheel.share_connections(
    me bigint, wanted integer, in_use integer, reserve integer, least_each integer
)
RETURNS TABLE (
    max_connections integer, superusers integer, processes integer, fits boolean, share integer, granted integer,
    connections integer
)
LANGUAGE plpgsql
-- It is asked after heartbeats, which must not wait for long.
SET lock_timeout = '1s'
AS $$
DECLARE
    room integer;
    earlier integer;
    others integer;
BEGIN
    -- The lock: the row of the first migration, which is always there and which nobody else locks.
    PERFORM FROM pacewheel.migrations m WHERE m.version = 1 FOR NO KEY UPDATE;
    max_connections := current_setting('max_connections')::integer;
    superusers := current_setting('superuser_reserved_connections')::integer
        + coalesce(current_setting('reserved_connections', true), '0')::integer;
    room := max_connections - superusers - reserve;
    SELECT count(*), count(*) FILTER (WHERE w.id <= me), coalesce(sum(w.connections) FILTER (WHERE w.id <> me), 0)
    INTO processes, earlier, others
    FROM pacewheel.workers w
    WHERE w.dead_at IS NULL;
    fits := earlier * least_each <= room;
    share := greatest(least_each, (room - least_each) / greatest(1, processes));
    granted := greatest(least_each, least(wanted, share, room - others));
    connections := greatest(granted, in_use);
    UPDATE pacewheel.workers w
    SET connections = share_connections.connections
    WHERE w.id = me AND w.dead_at IS NULL AND w.connections <> share_connections.connections;
    RETURN NEXT;
END
$$;

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
