-- purpose: name the daily partitions of results whose day ended so long ago
-- params: $1 ms since the end of the day
-- returns: name, rows (as the planner knows it, 0 if it does not)
-- index: none
-- rows: one a day
SELECT c.relname::text AS name, greatest(0, c.reltuples)::bigint AS rows
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE
    i.inhparent = 'pacewheel.results'::regclass AND c.relname ~ '^results_[0-9]{8}$'
    AND to_date(substr(c.relname, 9), 'YYYYMMDD') < ((now() - $1::bigint * interval '1 ms') AT TIME ZONE 'UTC')::date
ORDER BY c.relname
