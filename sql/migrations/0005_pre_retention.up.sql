-- Retention: what may be removed is found by index, and what was removed is known.

-- A domain that was put and has no job yet is not an unused one.
ALTER TABLE pacewheel.domains ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();

-- Finished jobs, oldest first, and those of a domain and handler, for the last of them. Not of live jobs too: an index
-- by domain of all would be offered to the claim, and while the tables are small be taken for jobs_live.
CREATE INDEX jobs_finished ON pacewheel.jobs (finished_at, id) WHERE status >= 3;
CREATE INDEX jobs_final ON pacewheel.jobs (domain_id, handler, id) WHERE status >= 3;
CREATE INDEX results_default_by_age ON pacewheel.results_default (finished_at);
CREATE INDEX workers_dead ON pacewheel.workers (dead_at) WHERE dead_at IS NOT NULL;

-- Jobs that were removed. The job's row goes, and its row here comes, in one transaction; its tasks and what else it
-- left are cleared after that, batch by batch, until `cleared_at` says that nothing is left. `tasks_left` counts down;
-- `results_to` and `tasks_to` are the last task ids looked at, so that whoever goes on need not look again.
CREATE TABLE pacewheel.pruned_jobs (
    job_id bigint PRIMARY KEY,
    domain_id bigint NOT NULL,
    tasks_left bigint NOT NULL,
    results_to bigint NOT NULL DEFAULT -9223372036854775808,
    tasks_to bigint NOT NULL DEFAULT -9223372036854775808,
    finished_at timestamptz NOT NULL,
    pruned_at timestamptz NOT NULL DEFAULT now(),
    cleared_at timestamptz,
    domain text NOT NULL
);
CREATE INDEX pruned_jobs_uncleared ON pacewheel.pruned_jobs (domain_id, job_id) WHERE cleared_at IS NULL;
CREATE INDEX pruned_jobs_cleared ON pacewheel.pruned_jobs (cleared_at) WHERE cleared_at IS NOT NULL;

-- One row: whose turn it is to prune, and until when if it says nothing more; when the next run is due; and since when
-- there are results (those finished before were dropped).
CREATE TABLE pacewheel.retention (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    worker_id bigint,
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    next_at timestamptz NOT NULL DEFAULT '-infinity',
    results_from timestamptz
);
INSERT INTO pacewheel.retention DEFAULT VALUES;

-- Drops the oldest partition of results of a day before `before`, if its locks are to be had within `wait_ms` each: a
-- settle that comes meanwhile waits as long, and a claim not at all. `busy`: they were not, try again.
CREATE FUNCTION pacewheel.drop_results(before date, wait_ms integer, OUT dropped text, OUT busy boolean)
LANGUAGE plpgsql AS $$
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
$$;
