-- purpose: pause or resume a job
-- params: $1 job id, $2 the states it may be in, $3 the state it gets
-- returns: status (before), domain_id, moved; no row for an unknown job
-- index: jobs_pkey
-- rows: 0 or 1
-- The states come from the table of transitions. A pause stops no handler: what runs ends by itself.
WITH job AS MATERIALIZED (
    SELECT j.id, j.domain_id, j.status
    FROM pacewheel.jobs j
    WHERE j.id = $1
    FOR NO KEY UPDATE
), moved AS (
    UPDATE pacewheel.jobs j
    SET
        status = $3::smallint,
        resumed_at = CASE WHEN $3::smallint = 0 THEN clock_timestamp() ELSE j.resumed_at END
    FROM job l
    WHERE j.id = l.id AND l.status = ANY ($2::smallint[])
    RETURNING j.id
)
SELECT j.status, j.domain_id, (SELECT count(*) FROM moved) = 1 AS moved
FROM job j
