-- purpose: compare jobs' counters with their tasks, and find live tasks whose job is final or missing
-- params: a row each: $1 domain id, $2 job id
-- returns: a row a job that is not in order: job_id, domain_id, status and discovery_open (null: no such job), kept and found (arrays: total, pending, waiting, backoff, completed, failed, skipped, cancelled)
-- index: tasks_pkey, jobs_pkey
-- rows: at most one a job
-- One statement, so one snapshot of jobs and tasks: what is under way makes no difference, and nothing is locked. It
-- reads the tasks of these jobs, whatever else is kept of their domains.
WITH compared AS MATERIALIZED (
    SELECT
        a.job_id, a.domain_id, j.status, j.discovery_open,
        ARRAY[j.total, j.pending, j.waiting, j.backoff, j.completed, j.failed, j.skipped, j.cancelled] AS kept,
        c.found
    FROM unnest($1::bigint[], $2::bigint[]) AS a (domain_id, job_id)
    LEFT JOIN pacewheel.jobs j ON j.id = a.job_id AND j.domain_id = a.domain_id
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
            t.domain_id = a.domain_id AND t.job_id = a.job_id
            AND t.id BETWEEN pacewheel.first_task_id(a.job_id) AND pacewheel.last_task_id(a.job_id)
    ) c
)
SELECT c.job_id, c.domain_id, c.status, c.discovery_open, c.kept, c.found
FROM compared c
WHERE
    CASE
        WHEN c.status IS NULL THEN c.found[2] + c.found[3] > 0
        WHEN c.kept <> c.found THEN true
        WHEN c.status >= 3 THEN c.found[2] + c.found[3] > 0
        ELSE c.found[2] + c.found[3] = 0 AND NOT c.discovery_open
    END
ORDER BY c.job_id
