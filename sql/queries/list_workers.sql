-- purpose: read the processes that work, and the last ones that did, with what they hold and run
-- params: $1 how many of the newest to show although they have ended
-- returns: id, host, pid, version, state (alive, draining, expired, ended, lost), handlers, capacity, domains, running, connections, lease_in_ms (null: ended), started_at, ended_at; the living first
-- index: workers_pkey, workers_alive, jobs_live, jobs_pkey, domains_pkey, tasks_pkey
-- rows: those not dead, and at most $1
-- A process that retires does so before its lease runs out; one that is declared dead has let it run out.
WITH shown AS MATERIALIZED (
    SELECT w.id FROM pacewheel.workers w WHERE w.dead_at IS NULL
    UNION
    (SELECT w.id FROM pacewheel.workers w ORDER BY w.id DESC LIMIT $1::integer)
), work AS MATERIALIZED (
    SELECT d.owner, sum(s.running)::bigint AS running
    FROM pacewheel.jobs j
    JOIN pacewheel.domains d ON d.id = j.domain_id
    JOIN pacewheel.job_states s ON s.job_id = j.id
    WHERE j.status < 3
    GROUP BY d.owner
)
SELECT
    w.id, w.host, w.pid, w.version,
    CASE
        WHEN w.dead_at < w.lease_until THEN 'ended'
        WHEN w.dead_at IS NOT NULL THEN 'lost'
        WHEN w.lease_until < statement_timestamp() THEN 'expired'
        WHEN w.handlers = '{}' THEN 'draining'
        ELSE 'alive'
    END AS state,
    w.handlers, w.capacity,
    CASE WHEN w.dead_at IS NULL THEN w.held ELSE 0 END AS domains,
    CASE WHEN w.dead_at IS NULL THEN coalesce(k.running, 0) ELSE 0 END AS running,
    CASE WHEN w.dead_at IS NULL THEN w.connections ELSE 0 END AS connections,
    CASE
        WHEN w.dead_at IS NULL THEN extract(epoch FROM w.lease_until - statement_timestamp())::float8 * 1000
    END AS lease_in_ms,
    w.started_at, w.dead_at AS ended_at
FROM shown s
JOIN pacewheel.workers w ON w.id = s.id
LEFT JOIN work k ON k.owner = w.id
ORDER BY w.dead_at IS NOT NULL, w.id
