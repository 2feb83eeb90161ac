-- Recurring jobs.

-- What the jobs of a schedule are made of, when they start, and what came of it. Either `cron`, read in the time zone
-- `zone` (an IANA name), or `interval_ms` says when; `next_at` is the next occurrence. `fired` counts the jobs,
-- `skipped_overlap` the occurrences at which the job before was still live. `tasks` are the first tasks of each job, an
-- array of objects; `domain_delay_ms` is set before each, null leaves the domain's. With `expiring_first` a job finds
-- in its document "expiring" the pages of the job before.
CREATE TABLE pacewheel.schedules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    next_at timestamptz NOT NULL,
    last_job_id bigint,
    fired bigint NOT NULL DEFAULT 0,
    skipped_overlap bigint NOT NULL DEFAULT 0,
    interval_ms bigint CHECK (interval_ms > 0),
    max_tasks bigint CHECK (max_tasks > 0),
    priority double precision NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    concurrency integer NOT NULL CHECK (concurrency > 0),
    domain_delay_ms integer CHECK (domain_delay_ms >= 0),
    paused boolean NOT NULL DEFAULT false,
    expiring_first boolean NOT NULL,
    name text NOT NULL UNIQUE CHECK (name <> ''),
    domain text NOT NULL CHECK (domain <> ''),
    handler text NOT NULL,
    cron text,
    zone text NOT NULL,
    options jsonb NOT NULL,
    tasks jsonb NOT NULL,
    CHECK ((cron IS NULL) <> (interval_ms IS NULL))
);
CREATE INDEX schedules_due ON pacewheel.schedules (next_at) WHERE NOT paused;
