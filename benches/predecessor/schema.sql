-- The predecessor's tables, as its study describes them: text ids, eleven indexes on tasks, two triggers a row that
-- count a job's tasks anew, one that adds. Columns that no statement here reads are left out, in its favour.
DROP SCHEMA IF EXISTS predecessor CASCADE;
CREATE SCHEMA predecessor;
CREATE TABLE predecessor.jobs (
    id text PRIMARY KEY,
    domain text NOT NULL,
    status text NOT NULL,
    concurrency integer NOT NULL,
    progress real NOT NULL DEFAULT 0,
    total_tasks integer NOT NULL DEFAULT 0,
    completed_tasks integer NOT NULL DEFAULT 0,
    failed_tasks integer NOT NULL DEFAULT 0,
    skipped_tasks integer NOT NULL DEFAULT 0,
    sitemap_tasks integer NOT NULL DEFAULT 0,
    pending_tasks integer NOT NULL DEFAULT 0,
    waiting_tasks integer NOT NULL DEFAULT 0,
    running_tasks integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    completed_at timestamptz
);
CREATE TABLE predecessor.tasks (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    job_id text NOT NULL REFERENCES predecessor.jobs (id),
    page_id integer NOT NULL,
    path text NOT NULL,
    status text NOT NULL,
    source_type text NOT NULL DEFAULT 'sitemap',
    priority_score numeric(4, 3) NOT NULL DEFAULT 0,
    retry_count integer NOT NULL DEFAULT 0,
    status_code integer,
    response_time_ms integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    completed_at timestamptz,
    UNIQUE (job_id, page_id)
);
CREATE INDEX tasks_job ON predecessor.tasks (job_id);
CREATE INDEX tasks_job_status ON predecessor.tasks (job_id, status);
CREATE INDEX tasks_job_status_priority ON predecessor.tasks (job_id, status, priority_score DESC);
CREATE INDEX tasks_status_created ON predecessor.tasks (status, created_at);
CREATE INDEX tasks_priority ON predecessor.tasks (priority_score DESC, created_at);
CREATE INDEX tasks_created ON predecessor.tasks (created_at);
CREATE INDEX tasks_claim ON predecessor.tasks (priority_score DESC, created_at) WHERE status = 'pending';
CREATE INDEX tasks_pending_by_job ON predecessor.tasks (job_id, priority_score DESC) WHERE status = 'pending';
CREATE INDEX tasks_running ON predecessor.tasks (started_at) WHERE status = 'running';

CREATE FUNCTION predecessor.count_progress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE predecessor.jobs j SET
        completed_tasks = (SELECT count(*) FROM predecessor.tasks WHERE job_id = j.id AND status = 'completed'),
        failed_tasks = (SELECT count(*) FROM predecessor.tasks WHERE job_id = j.id AND status = 'failed'),
        skipped_tasks = (SELECT count(*) FROM predecessor.tasks WHERE job_id = j.id AND status = 'skipped'),
        progress = CASE WHEN total_tasks > 0 THEN 100.0 * completed_tasks / total_tasks ELSE 0 END
    WHERE j.id = NEW.job_id;
    RETURN NULL;
END
$$;
CREATE FUNCTION predecessor.count_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE predecessor.jobs j SET (total_tasks, sitemap_tasks) = (
        SELECT count(*), count(*) FILTER (WHERE source_type = 'sitemap')
        FROM predecessor.tasks WHERE job_id = j.id
    )
    WHERE j.id = NEW.job_id;
    RETURN NULL;
END
$$;
CREATE FUNCTION predecessor.count_queue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE predecessor.jobs SET
        pending_tasks = pending_tasks + (NEW.status = 'pending')::int
            - (TG_OP = 'UPDATE' AND OLD.status = 'pending')::int,
        waiting_tasks = waiting_tasks + (NEW.status = 'waiting')::int
            - (TG_OP = 'UPDATE' AND OLD.status = 'waiting')::int
    WHERE id = NEW.job_id;
    RETURN NULL;
END
$$;
