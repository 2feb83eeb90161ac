-- purpose: read schedules, each with the state of its last job and whether its domain has another least gap or is not there (puts_domain)
-- params: $1 ids or null (all), $2 name or null (all)
-- returns: one row a schedule, by name
-- index: schedules_pkey, schedules_name_key, domains_name_key, jobs_pkey
-- rows: as many as there are
SELECT
    s.id, s.name, s.domain, s.handler, s.priority, s.concurrency, s.max_tasks, s.domain_delay_ms,
    coalesce(s.domain_delay_ms <> d.base_delay_ms, d.id IS NULL) AS puts_domain,
    s.options::text AS options, s.tasks::text AS tasks, s.expiring_first, s.cron, s.interval_ms, s.zone, s.next_at,
    s.last_job_id, j.status AS last_job_status, s.fired, s.skipped_overlap, s.paused, s.created_at
FROM pacewheel.schedules s
LEFT JOIN pacewheel.domains d ON d.name = s.domain
LEFT JOIN pacewheel.jobs j ON j.id = s.last_job_id
WHERE ($1::bigint[] IS NULL OR s.id = ANY ($1::bigint[])) AND ($2::text IS NULL OR s.name = $2)
ORDER BY s.name
