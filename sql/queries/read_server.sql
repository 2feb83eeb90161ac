-- purpose: read what the server is and how it is set, for the doctor
-- params: none
-- returns: version (as in server_version_num), version_words, is_standby, role, sees_all (other roles' sessions too), now, sessions (of clients), sessions_max, reserved (for superusers), queue_usage (of notifications, 0 to 1), age (of the oldest transaction that the database knows), settings (JSON text, name to value)
-- index: none
-- rows: 1
-- Reads no table of pacewheel's, so it works before there are any, and asks only for what every role may see.
SELECT
    current_setting('server_version_num')::integer AS version,
    current_setting('server_version') AS version_words,
    pg_is_in_recovery() AS is_standby,
    current_user::text AS role,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all,
    clock_timestamp() AS now,
    (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid IS NOT NULL AND a.datid IS NOT NULL) AS sessions,
    current_setting('max_connections')::integer AS sessions_max,
    current_setting('superuser_reserved_connections')::integer
        + coalesce(current_setting('reserved_connections', true), '0')::integer AS reserved,
    pg_notification_queue_usage() AS queue_usage,
    (SELECT age(d.datfrozenxid) FROM pg_database d WHERE d.datname = current_database()) AS age,
    (
        SELECT jsonb_object_agg(s.name, s.setting)
        FROM pg_settings s
        WHERE s.name IN (
            'autovacuum', 'default_transaction_isolation', 'fsync', 'full_page_writes', 'server_encoding',
            'statement_timeout', 'synchronous_commit', 'track_counts', 'transaction_timeout'
        )
    )::text AS settings
