-- purpose: say why the live tasks of jobs don't run: how many for which reason, what holds them, and until when
-- params: $1 job ids or null (all live jobs), $2 domain name or null (all)
-- returns: job_id, domain, reason, tasks, expected_in_ms (null: depends on others), holder
-- index: jobs_pkey, jobs_live, domains_pkey, tasks_pkey, tasks_wake
-- rows: at most 4 a job
SELECT w.job_id, w.domain, w.reason, w.tasks, w.expected_in_ms, w.holder
FROM pacewheel.waiting w
WHERE
    ($1::bigint[] IS NULL OR w.job_id = ANY ($1::bigint[]))
    AND ($2::text IS NULL OR w.domain = $2)
ORDER BY w.job_id, w.reason
