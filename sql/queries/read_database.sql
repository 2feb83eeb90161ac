-- purpose: read what the server says of this database to any role, for metrics and the dashboard
-- params: none
-- returns: size_bytes; connections_max; active, idle, idle_in_transaction, other, hidden (client sessions by state; hidden: this role may not see it); oldest_transaction_s and session_xmin_age (of the sessions that it may see); prepared_xmin_age, slot_xmin_age, standby_xmin_age (transactions since the oldest snapshot, by what holds it); wal_retained_bytes (by replication slots, at most); commits, rollbacks, deadlocks, blocks_hit, blocks_read, block_read_s, block_write_s, temp_bytes, active_s (sums of this database); wal_bytes (of the whole server)
-- index: none
-- rows: 1
-- Reads no table of pacewheel's. Asks only for what PostgreSQL 14 to 18 have and an ordinary role may read. This
-- session's own snapshot is left out.
WITH sessions AS MATERIALIZED (
    SELECT
        CASE
            WHEN a.state IS NULL AND a.query = '<insufficient privilege>' THEN 'hidden'
            WHEN a.state LIKE 'idle in transaction%' THEN 'idle in transaction'
            WHEN a.state IN ('active', 'idle') THEN a.state
            ELSE 'other'
        END AS state,
        CASE WHEN a.pid <> pg_backend_pid() THEN greatest(age(a.backend_xmin), age(a.backend_xid)) END AS xmin_age,
        CASE WHEN a.pid <> pg_backend_pid() THEN a.xact_start END AS began_at
    FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.usesysid IS NOT NULL AND a.leader_pid IS NULL
)
SELECT
    pg_database_size(current_database()) AS size_bytes,
    current_setting('max_connections')::integer AS connections_max,
    s.active, s.idle, s.idle_in_transaction, s.other, s.hidden, s.oldest_transaction_s, s.session_xmin_age,
    (
        SELECT coalesce(max(age(p.transaction)), 0) FROM pg_prepared_xacts p WHERE p.database = current_database()
    ) AS prepared_xmin_age,
    r.xmin_age AS slot_xmin_age,
    (SELECT coalesce(max(age(b.backend_xmin)), 0) FROM pg_stat_replication b) AS standby_xmin_age,
    r.retained_bytes AS wal_retained_bytes,
    d.xact_commit AS commits, d.xact_rollback AS rollbacks, d.deadlocks, d.blks_hit AS blocks_hit,
    d.blks_read AS blocks_read, d.blk_read_time / 1000 AS block_read_s, d.blk_write_time / 1000 AS block_write_s,
    d.temp_bytes, d.active_time / 1000 AS active_s,
    w.wal_bytes::bigint AS wal_bytes
FROM pg_stat_database d
CROSS JOIN pg_stat_wal w
CROSS JOIN (
    SELECT
        count(*) FILTER (WHERE a.state = 'active') AS active,
        count(*) FILTER (WHERE a.state = 'idle') AS idle,
        count(*) FILTER (WHERE a.state = 'idle in transaction') AS idle_in_transaction,
        count(*) FILTER (WHERE a.state = 'other') AS other,
        count(*) FILTER (WHERE a.state = 'hidden') AS hidden,
        coalesce(extract(epoch FROM clock_timestamp() - min(a.began_at)), 0)::float8 AS oldest_transaction_s,
        coalesce(max(a.xmin_age), 0) AS session_xmin_age
    FROM sessions a
) s
CROSS JOIN (
    SELECT
        coalesce(max(greatest(age(l.xmin), age(l.catalog_xmin))), 0) AS xmin_age,
        coalesce(max(
            CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), l.restart_lsn) END
        ), 0)::bigint AS retained_bytes
    FROM pg_replication_slots l
) r
WHERE d.datname = current_database()
