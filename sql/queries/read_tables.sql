-- purpose: estimate live and dead rows of pacewheel's tables, for metrics and the dashboard
-- params: none
-- returns: name (partitions of results count as results), live_rows, dead_rows
-- index: none
-- rows: one a table
-- By the server's statistics: no table is read.
SELECT
    CASE WHEN c.relispartition THEN 'results' ELSE c.relname::text END AS name,
    sum(s.n_live_tup)::bigint AS live_rows,
    sum(s.n_dead_tup)::bigint AS dead_rows
FROM pg_stat_user_tables s
JOIN pg_class c ON c.oid = s.relid
WHERE s.schemaname = 'pacewheel'
GROUP BY 1
ORDER BY 1
