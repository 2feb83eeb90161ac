-- Says why the live tasks of a job, or of all jobs, don't run: the view `waiting` for psql.
DROP FUNCTION IF EXISTS pacewheel.explain_waiting;
CREATE FUNCTION pacewheel.explain_waiting(of_job_id bigint DEFAULT NULL)
RETURNS TABLE (
    job_id bigint, domain text, reason text, tasks bigint, expected_in_ms double precision, holder text
) LANGUAGE sql STABLE AS $body$
SELECT w.job_id, w.domain, w.reason, w.tasks, w.expected_in_ms, w.holder
FROM pacewheel.waiting w
WHERE of_job_id IS NULL OR w.job_id = of_job_id
ORDER BY w.job_id, w.reason
$body$;
