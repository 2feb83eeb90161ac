-- The floor: the least that a queue in PostgreSQL must do. Rows as wide as ours, one key, one claim index; no
-- limits, no counters, no results, no fence.
CREATE TABLE floor_tasks (
    domain_id bigint NOT NULL,
    id bigint NOT NULL,
    job_id bigint NOT NULL,
    priority double precision NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    attempt smallint NOT NULL DEFAULT 0,
    status smallint NOT NULL,
    target text NOT NULL,
    PRIMARY KEY (domain_id, id)
) WITH (fillfactor = 85);
CREATE INDEX floor_claim ON floor_tasks (priority DESC, id) WHERE status = 0;
