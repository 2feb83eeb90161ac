-- purpose: read live and dead rows and the last vacuum of every table of the schema, for the doctor
-- params: none
-- returns: name (with its schema), bytes (with indexes), live, dead (rows, by the server's statistics), vacuumed_s (since the last vacuum; null: none yet)
-- index: none
-- rows: one a table or partition
SELECT
    format('%I.%I', s.schemaname, s.relname) AS name, pg_total_relation_size(s.relid) AS bytes,
    s.n_live_tup AS live, s.n_dead_tup AS dead,
    extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::float8 AS vacuumed_s
FROM pg_stat_all_tables s
WHERE s.schemaname = 'pacewheel'
ORDER BY s.n_dead_tup DESC
