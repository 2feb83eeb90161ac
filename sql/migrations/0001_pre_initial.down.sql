-- Undoes the first schema; everything in it is lost.
DROP FUNCTION pacewheel.ensure_result_partitions(integer);
DROP VIEW pacewheel.task_states;
DROP TABLE
    pacewheel.documents, pacewheel.results, pacewheel.tasks, pacewheel.jobs, pacewheel.domains,
    pacewheel.workers;
