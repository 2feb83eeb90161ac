-- Undoes 0003.
DROP VIEW pacewheel.page_results, pacewheel.last_results;
DROP TABLE pacewheel.link_lists;
ALTER TABLE pacewheel.results
    DROP COLUMN departed_at,
    DROP COLUMN apart_ms,
    DROP COLUMN gap_ms,
    DROP COLUMN pause_ms,
    DROP COLUMN link_lists;
