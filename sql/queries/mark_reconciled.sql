-- purpose: note that jobs were compared at the start of this transaction
-- params: $1 job ids
-- returns: nothing
-- index: jobs_pkey
-- rows: 0
WITH locked AS MATERIALIZED (
    SELECT j.id
    FROM pacewheel.jobs j
    WHERE j.id = ANY ($1::bigint[])
    ORDER BY j.id
    FOR NO KEY UPDATE
)
UPDATE pacewheel.jobs j
SET reconciled_at = now() - interval '1 minute'
WHERE j.id = ANY (ARRAY(SELECT l.id FROM locked l))
