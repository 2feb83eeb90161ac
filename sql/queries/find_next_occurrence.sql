-- purpose: say when the next schedule is due, for the timer of a process
-- params: none
-- returns: in_ms, null when there is no schedule that isn't paused; below zero: one is overdue
-- index: schedules_due
-- rows: 1
SELECT extract(epoch FROM min(s.next_at) - statement_timestamp())::float8 * 1000 AS in_ms
FROM pacewheel.schedules s
WHERE NOT s.paused
