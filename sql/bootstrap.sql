-- Run before the first migration, inside its transaction: the schema and the table of migrations. An existing
-- schema is left alone, so that a user without CREATE on the database can migrate one made for it.
DO $$
BEGIN
    IF to_regnamespace('pacewheel') IS NULL THEN
        EXECUTE format('CREATE SCHEMA %I', 'pacewheel');
    END IF;
END
$$;
CREATE TABLE IF NOT EXISTS pacewheel.migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
