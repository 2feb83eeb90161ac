-- purpose: note that a migration was applied
-- params: $1 version, $2 name
-- returns: nothing
-- index: migrations_pkey
-- rows: 0
INSERT INTO pacewheel.migrations (version, name) VALUES ($1, $2)
