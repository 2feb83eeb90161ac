-- Says as an error why a job takes nothing: there is none with this id, or it is final.
DROP FUNCTION IF EXISTS pacewheel.refuse_job;
CREATE FUNCTION pacewheel.refuse_job(job_id bigint) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM pacewheel.jobs j WHERE j.id = refuse_job.job_id) THEN
        RAISE EXCEPTION 'there is no job %', refuse_job.job_id USING ERRCODE = 'no_data_found';
    END IF;
    RAISE EXCEPTION 'job % is final and takes no more tasks or changes', refuse_job.job_id
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Create a new job.';
END
$body$;
