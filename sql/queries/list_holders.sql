-- purpose: name what holds back vacuum, and so keeps dead rows and claims slow, for the doctor
-- params: none
-- returns: kind (session, prepared, slot, standby), name (application, gid or slot), who (role), pid, state, age_s (null: not known), xmin_age (transactions), retained_bytes (of WAL, by a slot); the oldest snapshot first
-- index: none
-- rows: at most 20
-- A role sees the snapshots of its own sessions, and of all with pg_read_all_stats. A vacuum holds back no other.
SELECT h.kind, h.name, h.who, h.pid, h.state, h.age_s, h.xmin_age, h.retained_bytes
FROM (
    SELECT
        'session' AS kind, coalesce(nullif(a.application_name, ''), 'without a name') AS name, a.usename::text AS who,
        a.pid, a.state, extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age_s,
        greatest(age(a.backend_xmin), age(a.backend_xid)) AS xmin_age, NULL::bigint AS retained_bytes
    FROM pg_stat_activity a
    WHERE
        a.pid <> pg_backend_pid() AND a.pid NOT IN (SELECT v.pid FROM pg_stat_progress_vacuum v)
        AND a.datname = current_database() AND a.xact_start IS NOT NULL
        AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL OR a.state LIKE 'idle in transaction%')
    UNION ALL
    SELECT
        'prepared', p.gid, p.owner::text, NULL, NULL, extract(epoch FROM clock_timestamp() - p.prepared)::float8,
        age(p.transaction), NULL
    FROM pg_prepared_xacts p
    WHERE p.database = current_database()
    UNION ALL
    SELECT
        'slot', s.slot_name::text, NULL, s.active_pid, CASE WHEN s.active THEN 'active' ELSE 'inactive' END, NULL,
        greatest(age(s.xmin), age(s.catalog_xmin)),
        CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint END
    FROM pg_replication_slots s
    UNION ALL
    SELECT
        'standby', coalesce(nullif(r.application_name, ''), 'without a name'), r.usename::text, r.pid, r.state, NULL,
        age(r.backend_xmin), NULL
    FROM pg_stat_replication r
    WHERE r.backend_xmin IS NOT NULL
) h
ORDER BY h.xmin_age DESC NULLS LAST, h.age_s DESC NULLS LAST
LIMIT 20
