-- purpose: read which migrations the schema has had
-- params: none
-- returns: version, name, ascending
-- index: migrations_pkey
-- rows: one a migration
SELECT m.version, m.name FROM pacewheel.migrations m ORDER BY m.version
