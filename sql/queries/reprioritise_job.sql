-- purpose: give a job another weight among the jobs of its domain
-- params: $1 job id, $2 priority
-- returns: status (before); no row for an unknown job
-- index: jobs_pkey
-- rows: 0 or 1
WITH job AS MATERIALIZED (
    SELECT j.id, j.status
    FROM pacewheel.jobs j
    WHERE j.id = $1
    FOR NO KEY UPDATE
), changed AS (
    UPDATE pacewheel.jobs j
    SET priority = $2::float8
    FROM job l
    WHERE j.id = l.id AND l.status < 3
)
SELECT j.status
FROM job j
