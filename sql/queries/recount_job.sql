-- purpose: set a job's counters to what its rows say, and have its owner look again
-- params: $1 job id
-- returns: domain_id, status, discovery_open, kept (before) and found (arrays as of compare_counters), hinted; no row for an unknown job
-- index: jobs_pkey, tasks_pkey
-- rows: 0 or 1
-- Runs after lock_job in the same transaction: its snapshot holds all that was committed before the lock.
WITH job AS MATERIALIZED (
    SELECT
        j.id, j.domain_id, j.status, j.discovery_open,
        ARRAY[j.total, j.pending, j.waiting, j.backoff, j.completed, j.failed, j.skipped, j.cancelled] AS kept
    FROM pacewheel.jobs j
    WHERE j.id = $1
), counted AS MATERIALIZED (
    SELECT j.id, j.domain_id, j.status, j.discovery_open, j.kept, c.found
    FROM job j
    CROSS JOIN LATERAL (
        SELECT ARRAY[
            count(*),
            count(*) FILTER (WHERE t.status = 0),
            count(*) FILTER (WHERE t.status = 1),
            count(*) FILTER (WHERE t.status = 1 AND t.waiting_reason = 0),
            count(*) FILTER (WHERE t.status = 3),
            count(*) FILTER (WHERE t.status = 4),
            count(*) FILTER (WHERE t.status = 5),
            count(*) FILTER (WHERE t.status = 6)
        ] AS found
        FROM pacewheel.tasks t
        WHERE
            t.domain_id = j.domain_id AND t.job_id = j.id
            AND t.id BETWEEN pacewheel.first_task_id(j.id) AND pacewheel.last_task_id(j.id)
    ) c
), repaired AS (
    UPDATE pacewheel.jobs j
    SET
        total = c.found[1], pending = c.found[2], waiting = c.found[3], backoff = c.found[4], completed = c.found[5],
        failed = c.found[6], skipped = c.found[7], cancelled = c.found[8], poke = j.poke + 1
    FROM counted c
    WHERE j.id = c.id AND c.kept <> c.found
    RETURNING j.domain_id
)
SELECT
    c.domain_id, c.status, c.discovery_open, c.kept, c.found,
    (SELECT pg_notify('pacewheel', 'enqueued ' || r.domain_id) FROM repaired r) IS NOT NULL AS hinted
FROM counted c
