-- purpose: compare jobs' counters with their tasks, and find live tasks whose job is final or missing
-- params: $1 domain ids, $2 job ids (of these domains: found even when they have no task)
-- returns: a row a job that is not in order: job_id, domain_id, status and discovery_open (null: no such job), kept and found (arrays: total, pending, waiting, backoff, completed, failed, skipped, cancelled)
-- index: tasks_pkey, jobs_pkey
-- rows: 0 or more
-- One statement, so one snapshot of jobs and tasks: what is under way makes no difference, and nothing is locked. It
-- reads every task of the domains, once for all their jobs.
WITH counted AS MATERIALIZED (
    SELECT
        t.domain_id, t.job_id,
        ARRAY[
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
    WHERE t.domain_id = ANY ($1::bigint[])
    GROUP BY t.domain_id, t.job_id
), asked AS MATERIALIZED (
    SELECT j.id, j.domain_id
    FROM pacewheel.jobs j
    WHERE j.id = ANY ($2::bigint[])
), compared AS MATERIALIZED (
    SELECT
        coalesce(c.job_id, a.id) AS job_id,
        coalesce(c.domain_id, a.domain_id) AS domain_id,
        j.status, j.discovery_open,
        ARRAY[j.total, j.pending, j.waiting, j.backoff, j.completed, j.failed, j.skipped, j.cancelled] AS kept,
        coalesce(c.found, array_fill(0::bigint, ARRAY[8])) AS found
    FROM counted c
    FULL JOIN asked a ON a.id = c.job_id AND a.domain_id = c.domain_id
    LEFT JOIN pacewheel.jobs j ON j.id = coalesce(c.job_id, a.id) AND j.domain_id = coalesce(c.domain_id, a.domain_id)
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
