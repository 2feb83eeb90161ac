-- purpose: let one process at a time migrate, until its transaction ends
-- params: none
-- returns: nothing of use
-- index: none
-- rows: 1
SELECT pg_advisory_xact_lock(hashtextextended('pacewheel', 0))
