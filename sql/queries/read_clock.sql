-- purpose: read the database's clock, for an instant that is computed from it and stored
-- params: none
-- returns: now
-- index: none
-- rows: 1
SELECT statement_timestamp() AS now
