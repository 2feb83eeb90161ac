-- purpose: read what this role may not do that pacewheel has to, for the doctor
-- params: none
-- returns: may_use and may_create (in the schema), owns (its tables, which partitions need), refused (relations that it may not read or write)
-- index: none
-- rows: 1, or none without the schema
SELECT
    has_schema_privilege(n.oid, 'USAGE') AS may_use,
    has_schema_privilege(n.oid, 'CREATE') AS may_create,
    coalesce((
        SELECT bool_and(pg_has_role(c.relowner, 'USAGE'))
        FROM pg_class c
        WHERE c.relnamespace = n.oid AND c.relname = 'results'
    ), true) AS owns,
    ARRAY(
        SELECT c.relname::text
        FROM pg_class c
        WHERE
            c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v') AND NOT (
                has_table_privilege(c.oid, 'SELECT') AND (
                    c.relkind = 'v' OR has_table_privilege(c.oid, 'INSERT')
                    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
                )
            )
        ORDER BY c.relname
    ) AS refused
FROM pg_namespace n
WHERE n.nspname = 'pacewheel'
