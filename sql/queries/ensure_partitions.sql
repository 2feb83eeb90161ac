-- purpose: create the daily partitions of results that are still missing, without waiting for their locks
-- params: $1 days ahead
-- returns: created
-- index: none
-- rows: 1
-- A partition is created with the table of results locked, and every settle waits behind whoever waits for that: behind
-- a report or a dump it is refused after 50 ms (lock_not_available), and tried again long before its day.
WITH briefly AS MATERIALIZED (SELECT set_config('lock_timeout', '50ms', true) AS lock_timeout)
SELECT pacewheel.ensure_result_partitions($1) AS created
FROM briefly b
WHERE b.lock_timeout IS NOT NULL
