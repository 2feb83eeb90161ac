-- Undoes the migration of schedules; their jobs stay.
DROP TABLE pacewheel.schedules;
