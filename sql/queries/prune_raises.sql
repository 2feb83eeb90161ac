-- purpose: take raises of final jobs out of the outbox: nobody leases their domains to do it
-- params: $1 most rows
-- returns: pruned
-- index: priority_updates_pkey, jobs_pkey
-- rows: 1
-- What a job leaves there: raises of tasks that were running when it last was looked at. Every sweep runs this and
-- reads the whole outbox, which holds no more than what was asked for within a minute or so.
WITH dead AS MATERIALIZED (
    SELECT p.domain_id, p.task_id
    FROM pacewheel.priority_updates p
    JOIN pacewheel.jobs j ON j.id = p.job_id
    WHERE j.status > 2
    ORDER BY p.domain_id, p.task_id
    LIMIT $1
    FOR UPDATE OF p SKIP LOCKED
), pruned AS (
    DELETE FROM pacewheel.priority_updates p
    USING dead d
    WHERE p.domain_id = d.domain_id AND p.task_id = d.task_id
    RETURNING p.task_id
)
SELECT count(*)::integer AS pruned FROM pruned
