-- Raises a task of a job, by its key, to at least this priority, in the caller's transaction: 'raised', 'suppressed'
-- (it has as high a one, or is final) or 'unknown' (the job has no such key). A final or unknown job is an error. The
-- domain's owner carries it out after the commit.
DROP FUNCTION IF EXISTS pacewheel.raise_priority;
CREATE FUNCTION pacewheel.raise_priority(job_id bigint, key text, priority double precision)
RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
    answer record;
BEGIN
    IF key IS NULL OR priority IS NULL OR priority IN ('Infinity', '-Infinity', 'NaN') THEN
        RAISE EXCEPTION 'a raise needs a key and a finite priority' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR probe IN 0..15 LOOP
        SELECT o.* INTO answer
        FROM pacewheel.offer_raises(
            ARRAY[raise_priority.job_id], ARRAY[raise_priority.key], ARRAY[raise_priority.priority], probe, true
        ) o;
        IF answer.refused > 0 THEN
            PERFORM pacewheel.refuse_job(raise_priority.job_id);
        END IF;
        IF cardinality(answer.collided) = 0 THEN
            RETURN CASE
                WHEN answer.unknown > 0 THEN 'unknown'
                WHEN cardinality(answer.raised_task_ids) > 0 THEN 'raised'
                ELSE 'suppressed'
            END;
        END IF;
    END LOOP;
    RETURN 'unknown';
END
$body$;
