-- purpose: read how the results are partitioned, for the doctor
-- params: none
-- returns: partitions (by day), bytes (with indexes), has_today, has_tomorrow, in_default (whether there are rows that no day takes), oldest (day of the first partition; null: none), today (both dates in UTC)
-- index: none
-- rows: 1
SELECT
    count(*) FILTER (WHERE c.relname <> 'results_default') AS partitions,
    coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes,
    coalesce(bool_or(c.relname = 'results_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')), false) AS has_today,
    coalesce(
        bool_or(c.relname = 'results_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYYMMDD')), false
    ) AS has_tomorrow,
    EXISTS (SELECT FROM pacewheel.results_default) AS in_default,
    min(to_date(substring(c.relname FROM '^results_(\d{8})$'), 'YYYYMMDD')) AS oldest,
    (now() AT TIME ZONE 'UTC')::date AS today
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'pacewheel.results'::regclass
