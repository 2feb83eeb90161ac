-- purpose: name what the schema consists of, for the doctor to compare with what it should
-- params: none
-- returns: kind (relation, column or function), name (of a column: its relation's, a dot, its own)
-- index: none
-- rows: one a part
SELECT 'relation' AS kind, c.relname::text AS name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'pacewheel' AND c.relkind IN ('r', 'p', 'v', 'i', 'I')
UNION ALL
SELECT 'column', c.relname || '.' || a.attname
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname = 'pacewheel' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'function', p.proname::text
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'pacewheel'
