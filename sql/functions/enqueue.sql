-- Adds a task to a job, in the caller's transaction: 'inserted', 'known' (the job has this key already; a higher
-- priority raises it) or 'over_limit' (the job has as many tasks as it may). A final or unknown job is an error.
-- Processes are told at the commit. Thousands in one transaction belong into one call of enqueue_tasks: each call here
-- leaves a version of the job's row behind, which the next one has to pass.
DROP FUNCTION IF EXISTS pacewheel.enqueue;
CREATE FUNCTION pacewheel.enqueue(
    job_id bigint, target text, key text DEFAULT NULL, priority double precision DEFAULT 0,
    payload jsonb DEFAULT NULL, ready_in interval DEFAULT NULL
) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
    counts record;
BEGIN
    IF target IS NULL OR priority IS NULL OR priority IN ('Infinity', '-Infinity', 'NaN') THEN
        RAISE EXCEPTION 'a task needs a target and a finite priority' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR probe IN 0..15 LOOP
        SELECT e.* INTO counts
        FROM pacewheel.enqueue_tasks(
            ARRAY[enqueue.job_id], ARRAY[enqueue.target], ARRAY[enqueue.key], ARRAY[enqueue.priority],
            ARRAY[enqueue.payload::text], ARRAY[(extract(epoch FROM enqueue.ready_in) * 1000)::bigint], probe, true,
            NULL
        ) e;
        IF counts.refused > 0 THEN
            PERFORM pacewheel.refuse_job(enqueue.job_id);
        END IF;
        IF cardinality(counts.collided) = 0 THEN
            RETURN CASE
                WHEN counts.inserted > 0 THEN 'inserted' WHEN counts.over_limit > 0 THEN 'over_limit' ELSE 'known'
            END;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'the key of % met 16 hash collisions', enqueue.target USING ERRCODE = 'unique_violation';
END
$body$;
