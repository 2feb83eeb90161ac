-- purpose: create a schedule
-- params: $1 name, $2 domain name, $3 handler, $4 priority, $5 concurrency, $6 max_tasks or null, $7 least gap of the domain in ms or null (leave), $8 options (JSON text), $9 first tasks (JSON text), $10 whether expiring pages go first, $11 cron expression or null, $12 interval in ms or null, $13 time zone, $14 first occurrence
-- returns: id; no row when the name is taken
-- index: schedules_name_key
-- rows: 0 or 1
INSERT INTO pacewheel.schedules (
    name, domain, handler, priority, concurrency, max_tasks, domain_delay_ms, options, tasks, expiring_first, cron,
    interval_ms, zone, next_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9::text::jsonb, $10, $11, $12, $13, $14)
ON CONFLICT (name) DO NOTHING
RETURNING id
