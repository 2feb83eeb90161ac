-- The statement enqueue_tasks as a function, so that SQL enqueues by the very statement that the engine runs.
-- Each statement of a function has a snapshot of its own: with the jobs locked before, nobody overtakes the second one.
DROP FUNCTION IF EXISTS pacewheel.enqueue_tasks;
CREATE FUNCTION pacewheel.enqueue_tasks(
    job_ids bigint[], targets text[], keys text[], priorities double precision[], payloads text[],
    ready_in_ms bigint[], probe bigint, notify boolean, beyond_limit boolean[] DEFAULT NULL,
    OUT inserted integer, OUT known integer, OUT over_limit integer, OUT refused integer,
    OUT collided integer[], OUT domain_ids bigint[], OUT hinted boolean, OUT rung boolean,
    OUT raised_domain_ids bigint[], OUT raised_task_ids bigint[], OUT raised_job_ids bigint[],
    OUT raised_priorities double precision[], OUT overtaken boolean
) LANGUAGE sql AS $body$
SELECT FROM pacewheel.jobs j WHERE j.id = ANY (job_ids) AND j.status < 3 ORDER BY j.id FOR NO KEY UPDATE;
include queries/enqueue_tasks.sql
$body$;
