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
-- failed; `retries_job_id` names the final job whose failed tasks this one runs again.
ALTER TABLE pacewheel.jobs
    ADD COLUMN backoff bigint NOT NULL DEFAULT 0,
    ADD COLUMN error text,
    ADD COLUMN retries_job_id bigint;
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
    priority double precision NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (domain_id, task_id)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

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
        WHEN t.status <> 0 OR t.id = ANY (d.in_flight) THEN NULL
        WHEN j.status = 2 THEN 'job_paused'
        WHEN d.blocked_until > clock_timestamp() THEN 'domain_blocked'
        WHEN r.running >= j.concurrency THEN 'concurrency_limit'
        WHEN d.gap_ms > 0 AND d.next_slot_at > clock_timestamp() THEN 'domain_delay'
        ELSE 'worker_capacity'
    END AS waiting_reason,
    t.created_at,
    t.ready_at,
    t.finished_at
FROM pacewheel.tasks t
JOIN pacewheel.domains d ON d.id = t.domain_id
JOIN pacewheel.jobs j ON j.id = t.job_id
LEFT JOIN LATERAL (
    SELECT count(*) AS running
    FROM unnest(d.in_flight) AS f (id)
    JOIN pacewheel.tasks ft ON ft.domain_id = d.id AND ft.id = f.id
    WHERE ft.job_id = j.id AND ft.status = 0
) r ON t.status = 0;
