-- purpose: create the daily partitions of results that are still missing
-- params: $1 days ahead
-- returns: created
-- index: none
-- rows: 1
SELECT pacewheel.ensure_result_partitions($1) AS created
