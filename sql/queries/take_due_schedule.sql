-- purpose: lock the schedule that has been due for longest, unless another process is at it
-- params: none
-- returns: id; no row: nothing is due, or others see to it
-- index: schedules_due
-- rows: 0 or 1
-- Who waited for no lock and reads a row that was just fired sees its new next_at, for a locking read checks the newest
-- version: so of several processes one fires an occurrence.
SELECT s.id
FROM pacewheel.schedules s
WHERE NOT s.paused AND s.next_at <= statement_timestamp()
ORDER BY s.next_at
LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED
