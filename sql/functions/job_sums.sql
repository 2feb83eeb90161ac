-- A job's row as JSON, made the sums that the log line of its end shows. No parameter of the table's own type: the
-- function would have to be made anew with each change of the table.
DROP FUNCTION IF EXISTS pacewheel.job_sums;
CREATE FUNCTION pacewheel.job_sums(job jsonb) RETURNS text LANGUAGE sql STABLE AS $body$
    SELECT (
        job - 'options' || jsonb_build_object(
            'domain', (SELECT d.name FROM pacewheel.domains d WHERE d.id = (job ->> 'domain_id')::bigint),
            'duration_s', extract(epoch FROM
                (job ->> 'finished_at')::timestamptz
                - coalesce(job ->> 'started_at', job ->> 'created_at')::timestamptz)
        )
    )::text
$body$;
