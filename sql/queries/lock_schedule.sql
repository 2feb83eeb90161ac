-- purpose: lock a schedule, so that the next statements of the transaction see what others have done with it
-- params: $1 name
-- returns: id; no row for an unknown schedule
-- index: schedules_name_key
-- rows: 0 or 1
SELECT s.id FROM pacewheel.schedules s WHERE s.name = $1 FOR NO KEY UPDATE
