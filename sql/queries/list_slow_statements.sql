-- purpose: name statements of this software that have been running for long, for people who look
-- params: $1 least ms
-- returns: pid, query (cut off by the server), age_ms, waits_for, blocked_by (pids); the longest first
-- index: none
-- rows: one a connection at most
-- A role sees the statements of its own sessions, and of all with pg_read_all_stats.
SELECT
    a.pid, a.query, extract(epoch FROM clock_timestamp() - a.query_start)::float8 * 1000 AS age_ms,
    a.wait_event_type || ': ' || a.wait_event AS waits_for,
    CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END AS blocked_by
FROM pg_stat_activity a
WHERE
    a.datname = current_database() AND a.application_name = 'pacewheel' AND a.state = 'active'
    AND a.pid <> pg_backend_pid() AND a.query_start < clock_timestamp() - $1::float8 * interval '1 ms'
ORDER BY a.query_start
