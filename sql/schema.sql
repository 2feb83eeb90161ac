-- The newest schema, made of the migrations by `python -m tests.schema_dump`.

CREATE SCHEMA pacewheel;

CREATE FUNCTION pacewheel.drop_results(before date, wait_ms integer, OUT dropped text,
        OUT busy boolean) RETURNS record
    LANGUAGE plpgsql
    AS $_$
BEGIN
    busy := false;
    SELECT c.relname INTO dropped
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    WHERE
        i.inhparent = 'pacewheel.results'::regclass AND c.relname ~ '^results_[0-9]{8}$'
        AND to_date(substr(c.relname, 9), 'YYYYMMDD') < before
    ORDER BY c.relname
    LIMIT 1;
    IF dropped IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('lock_timeout', wait_ms || 'ms', true);
    UPDATE pacewheel.retention r
    SET results_from = greatest(
        r.results_from, (to_date(substr(dropped, 9), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC'
    );
    EXECUTE format('DROP TABLE pacewheel.%I', dropped);
EXCEPTION
    WHEN lock_not_available OR undefined_table THEN
        dropped := NULL;
        busy := true;
END
$_$;

CREATE FUNCTION pacewheel.ensure_result_partitions(days integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION pacewheel.first_task_id(job_id bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$SELECT job_id << 48$$;

CREATE FUNCTION pacewheel.last_task_id(job_id bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$SELECT (job_id << 48) | 281474976710655$$;

CREATE FUNCTION pacewheel.share_connections(me bigint, wanted integer, in_use integer, reserve integer,
        least_each integer) RETURNS TABLE(max_connections integer, superusers integer, processes integer,
        fits boolean, share integer, granted integer, connections integer)
    LANGUAGE plpgsql
    SET lock_timeout TO '1s'
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

CREATE FUNCTION pacewheel.task_id(job_id bigint, key text, probe bigint DEFAULT 0) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$SELECT (job_id << 48) | (hashtextextended(key, job_id # (probe << 48)) & 281474976710655)$$;

CREATE TABLE pacewheel.documents (
    domain_id bigint NOT NULL,
    job_id bigint NOT NULL,
    name text NOT NULL,
    body text NOT NULL
);

CREATE TABLE pacewheel.domains (
    id bigint NOT NULL,
    owner bigint,
    epoch bigint DEFAULT 0 NOT NULL,
    next_slot_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    blocked_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    base_delay_ms integer DEFAULT 0 NOT NULL,
    robots_delay_ms integer DEFAULT 0 NOT NULL,
    in_flight bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    name text NOT NULL,
    adaptive_delay_ms integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    successes integer DEFAULT 0 NOT NULL,
    block_reason text,
    claimed_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    gap_ms integer GENERATED ALWAYS AS (GREATEST(base_delay_ms, robots_delay_ms, adaptive_delay_ms)) STORED NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    refused_at timestamp with time zone,
    CONSTRAINT domains_adaptive_delay_ms_check CHECK ((adaptive_delay_ms >= 0)),
    CONSTRAINT domains_base_delay_ms_check CHECK ((base_delay_ms >= 0)),
    CONSTRAINT domains_name_check CHECK ((name <> ''::text)),
    CONSTRAINT domains_robots_delay_ms_check CHECK ((robots_delay_ms >= 0))
)
WITH (fillfactor='50');

ALTER TABLE pacewheel.domains ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pacewheel.domains_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE pacewheel.jobs (
    id bigint NOT NULL,
    domain_id bigint NOT NULL,
    priority double precision DEFAULT 0 NOT NULL,
    total bigint DEFAULT 0 NOT NULL,
    pending bigint DEFAULT 0 NOT NULL,
    waiting bigint DEFAULT 0 NOT NULL,
    completed bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    cancelled bigint DEFAULT 0 NOT NULL,
    max_tasks bigint,
    poke bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    last_progress_at timestamp with time zone,
    concurrency integer NOT NULL,
    status smallint DEFAULT 0 NOT NULL,
    discovery_open boolean DEFAULT true NOT NULL,
    handler text NOT NULL,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    backoff bigint DEFAULT 0 NOT NULL,
    error text,
    resumed_at timestamp with time zone,
    retries_job_id bigint,
    reconciled_at timestamp with time zone,
    weight double precision GENERATED ALWAYS AS (power((8)::double precision, LEAST(GREATEST(priority,
        ('-2'::integer)::double precision), (2)::double precision))) STORED NOT NULL,
    CONSTRAINT jobs_concurrency_check CHECK ((concurrency > 0)),
    CONSTRAINT jobs_max_tasks_check CHECK ((max_tasks > 0))
)
WITH (fillfactor='50');

CREATE TABLE pacewheel.tasks (
    domain_id bigint NOT NULL,
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    priority double precision NOT NULL,
    created_at timestamp with time zone NOT NULL,
    ready_at timestamp with time zone,
    finished_at timestamp with time zone,
    attempt smallint DEFAULT 0 NOT NULL,
    status smallint NOT NULL,
    waiting_reason smallint,
    target text NOT NULL,
    key text,
    payload jsonb,
    CONSTRAINT tasks_id_check CHECK (((id >> 48) = ((job_id << 48) >> 48)))
)
WITH (fillfactor='85', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='20000',
        autovacuum_vacuum_cost_delay='0', autovacuum_analyze_scale_factor='0.05');

CREATE TABLE pacewheel.workers (
    id bigint NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    dead_at timestamp with time zone,
    pid integer NOT NULL,
    capacity integer NOT NULL,
    held integer DEFAULT 0 NOT NULL,
    host text NOT NULL,
    version text NOT NULL,
    handlers text[] DEFAULT '{}'::text[] NOT NULL,
    connections integer DEFAULT 0 NOT NULL
);

CREATE VIEW pacewheel.job_states AS
 SELECT j.id AS job_id,
    j.domain_id,
    (j.pending - r.running) AS pending,
    j.backoff,
    (j.waiting - j.backoff) AS scheduled,
    r.running,
        CASE
            WHEN (j.status > 2) THEN NULL::text
            WHEN (g.gate IS NOT NULL) THEN g.gate
            WHEN (NOT g.served) THEN 'worker_capacity'::text
            WHEN (d.gap_ms > 0) THEN 'domain_delay'::text
            ELSE 'concurrency_limit'::text
        END AS pending_reason,
        CASE
            WHEN ((j.status > 1) OR (r.running >= j.concurrency) OR ((g.gate IS NULL) AND (NOT g.served))) THEN
        NULL::double precision
            ELSE ((EXTRACT(epoch FROM (GREATEST(statement_timestamp(), d.blocked_until,
        d.next_slot_at) - statement_timestamp())))::double precision * (1000)::double precision)
        END AS pending_in_ms,
        CASE
            WHEN ((j.status > 2) OR (g.gate IS NOT NULL) OR (NOT g.served)) THEN (0)::bigint
            ELSE GREATEST((0)::bigint, LEAST((j.pending - r.running),
            CASE
                WHEN (d.gap_ms > 0) THEN (1)::bigint
                ELSE (j.concurrency - r.running)
            END))
        END AS startable
   FROM (((((pacewheel.jobs j
     JOIN pacewheel.domains d ON ((d.id = j.domain_id)))
     LEFT JOIN pacewheel.workers o ON (((o.id = d.owner) AND (o.dead_at IS NULL) AND
        (o.lease_until > statement_timestamp()))))
     CROSS JOIN LATERAL ( SELECT array_agg(( SELECT t.job_id
                   FROM pacewheel.tasks t
                  WHERE ((t.domain_id = d.id) AND (t.id = f.id) AND (t.status < 1) AND
        ((t.ready_at > d.claimed_at) IS NOT TRUE)))) AS job_ids
           FROM unnest(d.in_flight) f(id)) w)
     CROSS JOIN LATERAL ( SELECT (COALESCE(cardinality(array_positions(w.job_ids, j.id)), 0))::bigint AS running) r)
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN (j.status = 2) THEN 'job_paused'::text
                    WHEN ((d.blocked_until > statement_timestamp()) OR (d.block_reason = 'circuit_open'::text)) THEN
        'domain_blocked'::text
                    WHEN (r.running >= j.concurrency) THEN 'concurrency_limit'::text
                    WHEN (d.next_slot_at > statement_timestamp()) THEN 'domain_delay'::text
                    ELSE NULL::text
                END AS gate,
            COALESCE((j.handler = ANY (o.handlers)), false) AS served) g);

ALTER TABLE pacewheel.jobs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pacewheel.jobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE pacewheel.results (
    finished_at timestamp with time zone NOT NULL,
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
    detail jsonb,
    departed_at timestamp with time zone,
    apart_ms double precision,
    gap_ms integer,
    pause_ms bigint,
    link_lists bigint[]
)
PARTITION BY RANGE (finished_at);

CREATE VIEW pacewheel.last_results AS
 SELECT r.job_id,
    r.domain_id,
    r.task_id,
    t.target,
    COALESCE(t.key, t.target) AS key,
    t.payload,
    COALESCE((t.payload ->> 'kind'::text), 'page'::text) AS kind,
    t.status,
    r.attempt,
    r.outcome,
    r.error,
    r.http_status,
    r.bytes,
    r.cache,
    r.detail,
    COALESCE((jsonb_path_query_first(r.detail,
        '$."timings"."total"?(@ >= 0 && @ < 1000000000000)'::jsonpath))::double precision,
        (r.duration_ms)::double precision) AS answer_ms,
    r.link_lists,
    r.finished_at
   FROM (pacewheel.results r
     JOIN pacewheel.tasks t ON (((t.domain_id = r.domain_id) AND (t.id = r.task_id) AND (t.job_id = r.job_id) AND
        (t.attempt = r.attempt))));

CREATE TABLE pacewheel.link_lists (
    domain_id bigint NOT NULL,
    job_id bigint NOT NULL,
    id bigint NOT NULL,
    name text NOT NULL,
    targets bigint[] NOT NULL
);

CREATE TABLE pacewheel.migrations (
    version integer NOT NULL,
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE VIEW pacewheel.page_results AS
 SELECT l.job_id,
    l.task_id,
    l.target,
    l.status,
    l.error,
    l.http_status,
    l.bytes,
    l.answer_ms,
    c.cache,
        CASE
            WHEN (c.cache <> 'unknown'::text) THEN (c.cache = ANY (ARRAY['hit'::text, 'revalidated'::text]))
            ELSE NULL::boolean
        END AS is_warm
   FROM ((pacewheel.last_results l
     LEFT JOIN ( SELECT DISTINCT ON (a.job_id, (a.payload ->> 'from'::text)) a.job_id,
            (jsonb_path_query_first(a.payload,
        '$."from"?(@ >= -9223372036854775808 && @ <= 9223372036854775807)'::jsonpath))::bigint AS page_id,
            a.cache
           FROM pacewheel.last_results a
          WHERE ((a.kind = 'recheck'::text) AND (a.status = 3))
          ORDER BY a.job_id, (a.payload ->> 'from'::text), a.finished_at DESC) r ON (((r.job_id = l.job_id) AND
        (r.page_id = l.task_id))))
     CROSS JOIN LATERAL ( SELECT COALESCE(r.cache, l.cache) AS cache) c)
  WHERE (l.kind = 'page'::text);

CREATE TABLE pacewheel.priority_updates (
    domain_id bigint NOT NULL,
    task_id bigint NOT NULL,
    job_id bigint NOT NULL,
    priority double precision NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT priority_updates_priority_check CHECK ((priority < 'NaN'::double precision))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000',
        autovacuum_vacuum_cost_delay='0');

CREATE TABLE pacewheel.pruned_jobs (
    job_id bigint NOT NULL,
    domain_id bigint NOT NULL,
    tasks_left bigint NOT NULL,
    tasks_to bigint DEFAULT '-9223372036854775808'::bigint NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    pruned_at timestamp with time zone DEFAULT now() NOT NULL,
    cleared_at timestamp with time zone,
    domain text NOT NULL
);

CREATE TABLE pacewheel.results_default (
    finished_at timestamp with time zone NOT NULL,
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
    detail jsonb,
    departed_at timestamp with time zone,
    apart_ms double precision,
    gap_ms integer,
    pause_ms bigint,
    link_lists bigint[]
);

CREATE TABLE pacewheel.retention (
    id smallint DEFAULT 1 NOT NULL,
    worker_id bigint,
    held_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    next_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    results_from timestamp with time zone,
    CONSTRAINT retention_id_check CHECK ((id = 1))
);

CREATE TABLE pacewheel.schedules (
    id bigint NOT NULL,
    next_at timestamp with time zone NOT NULL,
    last_job_id bigint,
    fired bigint DEFAULT 0 NOT NULL,
    skipped_overlap bigint DEFAULT 0 NOT NULL,
    interval_ms bigint,
    max_tasks bigint,
    priority double precision NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    concurrency integer NOT NULL,
    domain_delay_ms integer,
    paused boolean DEFAULT false NOT NULL,
    expiring_first boolean NOT NULL,
    name text NOT NULL,
    domain text NOT NULL,
    handler text NOT NULL,
    cron text,
    zone text NOT NULL,
    options jsonb NOT NULL,
    tasks jsonb NOT NULL,
    CONSTRAINT schedules_check CHECK (((cron IS NULL) <> (interval_ms IS NULL))),
    CONSTRAINT schedules_concurrency_check CHECK ((concurrency > 0)),
    CONSTRAINT schedules_domain_check CHECK ((domain <> ''::text)),
    CONSTRAINT schedules_domain_delay_ms_check CHECK ((domain_delay_ms >= 0)),
    CONSTRAINT schedules_interval_ms_check CHECK ((interval_ms > 0)),
    CONSTRAINT schedules_max_tasks_check CHECK ((max_tasks > 0)),
    CONSTRAINT schedules_name_check CHECK ((name <> ''::text))
);

ALTER TABLE pacewheel.schedules ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pacewheel.schedules_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW pacewheel.startable_tasks AS
 SELECT s.job_id,
    t.id
   FROM ((pacewheel.job_states s
     JOIN pacewheel.domains d ON ((d.id = s.domain_id)))
     CROSS JOIN LATERAL ( SELECT t_1.id
           FROM pacewheel.tasks t_1
          WHERE ((t_1.domain_id = s.domain_id) AND (t_1.job_id = s.job_id) AND (t_1.status = 0) AND
        (NOT ((t_1.id = ANY (d.in_flight)) AND ((t_1.ready_at > d.claimed_at) IS NOT TRUE))))
          ORDER BY t_1.priority DESC, t_1.id DESC
         LIMIT s.startable) t);

CREATE VIEW pacewheel.task_states AS
 SELECT t.domain_id,
    t.id,
    t.job_id,
    d.name AS domain,
    t.target,
    t.priority,
    t.attempt,
        CASE
            WHEN r.runs THEN 'running'::text
            ELSE (ARRAY['pending'::text, 'waiting'::text, 'running'::text, 'completed'::text, 'failed'::text,
        'skipped'::text, 'cancelled'::text])[(t.status + 1)]
        END AS state,
        CASE
            WHEN (t.status < 2) THEN d.owner
            ELSE NULL::bigint
        END AS owner,
        CASE
            WHEN (t.status = 1) THEN (ARRAY['retry_backoff'::text, 'scheduled'::text])[(t.waiting_reason + 1)]
            WHEN ((t.status = 0) AND (NOT r.runs)) THEN
            CASE
                WHEN (t.id = ANY (ARRAY( SELECT f.id
                   FROM pacewheel.startable_tasks f
                  WHERE (f.job_id = t.job_id)))) THEN 'worker_capacity'::text
                ELSE s.pending_reason
            END
            ELSE NULL::text
        END AS waiting_reason,
    t.created_at,
    t.ready_at,
    t.finished_at
   FROM (((pacewheel.tasks t
     JOIN pacewheel.domains d ON ((d.id = t.domain_id)))
     CROSS JOIN LATERAL ( SELECT ((t.status = 0) AND (t.id = ANY (d.in_flight)) AND
        ((t.ready_at > d.claimed_at) IS NOT TRUE)) AS runs) r)
     LEFT JOIN pacewheel.job_states s ON (((s.job_id = t.job_id) AND (t.status = 0))));

CREATE VIEW pacewheel.waiting AS
 SELECT s.job_id,
    s.domain_id,
    d.name AS domain,
    w.reason,
    w.tasks,
        CASE
            WHEN (w.is_behind AND (s.startable > 0)) THEN
            CASE
                WHEN (d.gap_ms > 0) THEN (d.gap_ms)::double precision
                ELSE NULL::double precision
            END
            WHEN (w.code IS NULL) THEN s.pending_in_ms
            WHEN (j.status < 2) THEN GREATEST((0)::double precision, s.pending_in_ms, ( SELECT ((EXTRACT(epoch FROM
        (min(t.ready_at) - statement_timestamp())))::double precision * (1000)::double precision)
               FROM pacewheel.tasks t
              WHERE ((t.domain_id = s.domain_id) AND (t.status = 1) AND (t.job_id = s.job_id) AND
        (t.waiting_reason = w.code))))
            ELSE NULL::double precision
        END AS expected_in_ms,
        CASE w.reason
            WHEN 'job_paused'::text THEN format('job %s is paused'::text, s.job_id)
            WHEN 'domain_blocked'::text THEN format('domain %s is blocked (%s)'::text, d.name,
        COALESCE(d.block_reason, 'retry_after'::text))
            WHEN 'concurrency_limit'::text THEN format('job %s runs %s of %s'::text, s.job_id, s.running,
        j.concurrency)
            WHEN 'domain_delay'::text THEN
            CASE d.gap_ms
                WHEN 0 THEN format('domain %s answers slowly'::text, d.name)
                ELSE format('domain %s permits a request every %s ms'::text, d.name, d.gap_ms)
            END
            WHEN 'retry_backoff'::text THEN 'their own delay after a failed attempt'::text
            WHEN 'scheduled'::text THEN 'the time they are scheduled for'::text
            ELSE
            CASE
                WHEN (j.handler = ANY (o.handlers)) THEN format('a free slot of worker %s on %s'::text, o.id, o.host)
                WHEN (o.id IS NOT NULL) THEN format('worker %s on %s holds domain %s and runs no handler %s'::text,
        o.id, o.host, d.name, j.handler)
                ELSE format('no worker that knows handler %s holds domain %s yet'::text, j.handler, d.name)
            END
        END AS holder
   FROM ((((pacewheel.job_states s
     JOIN pacewheel.jobs j ON ((j.id = s.job_id)))
     JOIN pacewheel.domains d ON ((d.id = s.domain_id)))
     LEFT JOIN pacewheel.workers o ON (((o.id = d.owner) AND (o.dead_at IS NULL) AND
        (o.lease_until > statement_timestamp()))))
     CROSS JOIN LATERAL ( VALUES (NULL::integer,false,'worker_capacity'::text,s.startable),
        (NULL::integer,true,s.pending_reason,(s.pending - s.startable)), (0,false,'retry_backoff'::text,s.backoff),
        (1,false,'scheduled'::text,s.scheduled)) w(code, is_behind, reason, tasks))
  WHERE ((j.status < 3) AND (w.tasks > 0));

ALTER TABLE pacewheel.workers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME pacewheel.workers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY pacewheel.results ATTACH PARTITION pacewheel.results_default DEFAULT;

ALTER TABLE ONLY pacewheel.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (domain_id, job_id, name);

ALTER TABLE ONLY pacewheel.domains
    ADD CONSTRAINT domains_name_key UNIQUE (name);

ALTER TABLE ONLY pacewheel.domains
    ADD CONSTRAINT domains_pkey PRIMARY KEY (id);

ALTER TABLE ONLY pacewheel.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY pacewheel.link_lists
    ADD CONSTRAINT link_lists_pkey PRIMARY KEY (domain_id, job_id, id);

ALTER TABLE ONLY pacewheel.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY pacewheel.priority_updates
    ADD CONSTRAINT priority_updates_pkey PRIMARY KEY (domain_id, task_id);

ALTER TABLE ONLY pacewheel.pruned_jobs
    ADD CONSTRAINT pruned_jobs_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY pacewheel.retention
    ADD CONSTRAINT retention_pkey PRIMARY KEY (id);

ALTER TABLE ONLY pacewheel.schedules
    ADD CONSTRAINT schedules_name_key UNIQUE (name);

ALTER TABLE ONLY pacewheel.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (id);

ALTER TABLE ONLY pacewheel.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (domain_id, id);

ALTER TABLE ONLY pacewheel.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

CREATE INDEX jobs_final ON pacewheel.jobs USING btree (domain_id, handler, id) WHERE (status >= 3);

CREATE INDEX jobs_finished ON pacewheel.jobs USING btree (finished_at, id) WHERE (status >= 3);

CREATE INDEX jobs_live ON pacewheel.jobs USING btree (domain_id) WHERE (status < 3);

CREATE INDEX jobs_unreconciled ON pacewheel.jobs USING btree (domain_id) WHERE ((status >= 3) AND
        ((reconciled_at IS NULL) OR (reconciled_at < finished_at)));

CREATE INDEX pruned_jobs_cleared ON pacewheel.pruned_jobs USING btree (cleared_at) WHERE (cleared_at IS NOT NULL);

CREATE INDEX pruned_jobs_uncleared ON pacewheel.pruned_jobs USING btree (domain_id,
        job_id) WHERE (cleared_at IS NULL);

CREATE INDEX results_by_task ON ONLY pacewheel.results USING btree (job_id, task_id);

CREATE INDEX results_default_by_age ON pacewheel.results_default USING btree (finished_at);

CREATE INDEX results_default_job_id_task_id_idx ON pacewheel.results_default USING btree (job_id, task_id);

CREATE INDEX schedules_due ON pacewheel.schedules USING btree (next_at) WHERE (NOT paused);

CREATE INDEX tasks_claim ON pacewheel.tasks USING btree (domain_id, job_id, priority DESC,
        id DESC) WHERE (status = 0);

CREATE INDEX tasks_failed ON pacewheel.tasks USING btree (domain_id, job_id, id) WHERE (status = 4);

CREATE INDEX tasks_wake ON pacewheel.tasks USING btree (domain_id, ready_at) WHERE (status = 1);

CREATE INDEX workers_alive ON pacewheel.workers USING btree (lease_until) WHERE (dead_at IS NULL);

CREATE INDEX workers_dead ON pacewheel.workers USING btree (dead_at) WHERE (dead_at IS NOT NULL);

ALTER INDEX pacewheel.results_by_task ATTACH PARTITION pacewheel.results_default_job_id_task_id_idx;

ALTER TABLE ONLY pacewheel.jobs
    ADD CONSTRAINT jobs_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES pacewheel.domains(id);
