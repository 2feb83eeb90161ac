-- purpose: remove a schedule; its jobs stay
-- params: $1 name
-- returns: id; no row for an unknown schedule
-- index: schedules_name_key
-- rows: 0 or 1
DELETE FROM pacewheel.schedules s WHERE s.name = $1 RETURNING s.id
