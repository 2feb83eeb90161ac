-- The statement offer_raises as a function, so that SQL raises by the very statement that the engine runs.
DROP FUNCTION IF EXISTS pacewheel.offer_raises;
CREATE FUNCTION pacewheel.offer_raises(
    job_ids bigint[], keys text[], priorities double precision[], probe bigint, notify boolean,
    OUT unknown integer, OUT refused integer, OUT collided integer[], OUT rung boolean,
    OUT raised_domain_ids bigint[], OUT raised_task_ids bigint[], OUT raised_job_ids bigint[],
    OUT raised_priorities double precision[]
) LANGUAGE sql AS $body$
include queries/offer_raises.sql
$body$;
