-- The engine's tables without its statements, for ways of counting. Keys are the plain ones of a floor.
CREATE SCHEMA counted;
CREATE TABLE counted.jobs (LIKE pacewheel.jobs INCLUDING ALL);
CREATE TABLE counted.tasks (LIKE pacewheel.tasks INCLUDING ALL);
