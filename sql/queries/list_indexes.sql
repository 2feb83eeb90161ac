-- purpose: read the state of every index of the schema, for the doctor
-- params: none
-- returns: name (with its schema), on_table, is_valid, bytes, entries (as of the last vacuum or analyze; -1: never), entry_bytes (an estimate)
-- index: none
-- rows: one an index
-- An entry is its columns, an item pointer of 4 bytes and a header of 8, and pages are filled to nine tenths.
SELECT
    format('%I.%I', n.nspname, c.relname) AS name, t.relname::text AS on_table,
    i.indisvalid AND i.indisready AS is_valid,
    pg_relation_size(c.oid) AS bytes, c.reltuples::float8 AS entries,
    (12 + (
        SELECT coalesce(sum(coalesce(s.avg_width, 8)), 8)
        FROM unnest(i.indkey::smallint[]) AS k (attnum)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = a.attname
    ) / 0.9)::float8 AS entry_bytes
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'pacewheel' AND c.relkind = 'i'
ORDER BY pg_relation_size(c.oid) DESC
