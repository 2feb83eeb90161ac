-- The first schema: workers, domains, jobs, tasks, results, documents.
-- Text below names the schema `pacewheel`; the migrator puts the configured name in its place.

CREATE TABLE pacewheel.workers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lease_until timestamptz NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    dead_at timestamptz,
    pid integer NOT NULL,
    capacity integer NOT NULL,
    held integer NOT NULL DEFAULT 0,
    host text NOT NULL,
    version text NOT NULL,
    handlers text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX workers_alive ON pacewheel.workers (lease_until) WHERE dead_at IS NULL;

-- The gate of a domain: who owns it, when its next request may start, what runs. Small and hot, so half of
-- each page is left free and nothing that changes often is indexed: every update is a heap-only one.
CREATE TABLE pacewheel.domains (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner bigint,
    epoch bigint NOT NULL DEFAULT 0,
    next_slot_at timestamptz NOT NULL DEFAULT '-infinity',
    blocked_until timestamptz NOT NULL DEFAULT '-infinity',
    base_delay_ms integer NOT NULL DEFAULT 0 CHECK (base_delay_ms >= 0),
    robots_delay_ms integer NOT NULL DEFAULT 0 CHECK (robots_delay_ms >= 0),
    in_flight bigint[] NOT NULL DEFAULT '{}',
    name text NOT NULL UNIQUE CHECK (name <> '')
) WITH (fillfactor = 50);

-- Status: 0 pending, 1 running, 2 paused, 3 completed, 4 failed, 5 cancelled. `pending` counts rows in state
-- pending, those in flight among them. Counters are in no index. `poke` grows
-- with every task that becomes pending: whoever reads on from a key starts again from the top when it has moved.
CREATE TABLE pacewheel.jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    domain_id bigint NOT NULL REFERENCES pacewheel.domains (id),
    priority double precision NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    pending bigint NOT NULL DEFAULT 0,
    waiting bigint NOT NULL DEFAULT 0,
    completed bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    max_tasks bigint CHECK (max_tasks > 0),
    poke bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    last_progress_at timestamptz,
    concurrency integer NOT NULL CHECK (concurrency > 0),
    status smallint NOT NULL DEFAULT 0,
    discovery_open boolean NOT NULL DEFAULT true,
    handler text NOT NULL,
    options jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
CREATE INDEX jobs_live ON pacewheel.jobs (domain_id) WHERE status < 3;

-- Status: 0 pending, 1 waiting, 3 completed, 4 failed, 5 skipped, 6 cancelled (2, running, is never stored: a
-- running task is a pending row noted in its domain's in_flight). `id` is the 64-bit hash of (job, key), so one
-- unique index is identity and dedupe at once; `key` is null where it equals the target. No foreign key: it
-- would cost half as much again at every insert, and the statements lock the job first.
CREATE TABLE pacewheel.tasks (
    domain_id bigint NOT NULL,
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    priority double precision NOT NULL,
    created_at timestamptz NOT NULL,
    ready_at timestamptz,
    finished_at timestamptz,
    attempt smallint NOT NULL DEFAULT 0,
    status smallint NOT NULL,
    waiting_reason smallint,
    target text NOT NULL,
    key text,
    payload jsonb,
    PRIMARY KEY (domain_id, id)
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05
);
CREATE INDEX tasks_claim ON pacewheel.tasks (domain_id, job_id, priority DESC, id DESC) WHERE status = 0;
CREATE INDEX tasks_wake ON pacewheel.tasks (domain_id, ready_at) WHERE status = 1;

-- One row an attempt, append-only. Outcome: 3 completed, 4 failed, 5 skipped, 1 to be retried.
CREATE TABLE pacewheel.results (
    finished_at timestamptz NOT NULL,
    domain_id bigint NOT NULL,
    job_id bigint NOT NULL,
    task_id bigint NOT NULL,
    worker_id bigint NOT NULL,
    bytes bigint,
    duration_ms integer NOT NULL,
    http_status smallint,
    attempt smallint NOT NULL,
    outcome smallint NOT NULL,
    error text,
    cache text,
    detail jsonb
) PARTITION BY RANGE (finished_at);
CREATE INDEX results_by_task ON pacewheel.results (job_id, task_id);
CREATE TABLE pacewheel.results_default PARTITION OF pacewheel.results DEFAULT;

-- Creates the daily partitions from today to `days` ahead; rows that came while one was missing stay in the default.
CREATE FUNCTION pacewheel.ensure_result_partitions(days integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    first_day date;
    created integer := 0;
BEGIN
    FOR first_day IN SELECT (now() AT TIME ZONE 'UTC')::date + n FROM generate_series(0, days) AS n LOOP
        CONTINUE WHEN to_regclass(format('pacewheel.results_%s', to_char(first_day, 'YYYYMMDD'))) IS NOT NULL;
        BEGIN
            EXECUTE format(
                'CREATE TABLE pacewheel.results_%s PARTITION OF pacewheel.results FOR VALUES FROM (%L) TO (%L)',
                to_char(first_day, 'YYYYMMDD'), first_day::timestamp AT TIME ZONE 'UTC',
                (first_day + 1)::timestamp AT TIME ZONE 'UTC'
            );
            created := created + 1;
        EXCEPTION
            WHEN check_violation OR duplicate_table THEN NULL;
        END;
    END LOOP;
    RETURN created;
END
$$;

-- Small texts that the tasks of a job leave for its later ones (robots.txt, say).
CREATE TABLE pacewheel.documents (
    domain_id bigint NOT NULL,
    job_id bigint NOT NULL,
    name text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (domain_id, job_id, name)
);

-- Every task with its true state, owner and reason, for people and reports; nothing hot reads it.
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
        WHEN greatest(d.base_delay_ms, d.robots_delay_ms) > 0 AND d.next_slot_at > clock_timestamp() THEN 'domain_delay'
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
