-- purpose: drop the oldest daily partition of results whose day ended so long ago, without waiting for its locks
-- params: $1 ms since the end of the day, $2 most ms to wait for a lock
-- returns: dropped (the partition's name, or null), busy (its locks were not to be had)
-- index: none
-- rows: 1
SELECT p.dropped, p.busy
FROM pacewheel.drop_results(
    ((now() - $1::bigint * interval '1 ms') AT TIME ZONE 'UTC')::date, $2::integer
) p
