-- purpose: tell whether the schema has had any migration
-- params: none
-- returns: present
-- index: none
-- rows: 1
SELECT to_regclass('pacewheel.migrations') IS NOT NULL AS present
