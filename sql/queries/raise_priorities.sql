-- purpose: raise tasks to priorities that were asked for, and take what is done with out of the outbox
-- params: a row each: $1 domain id, $2 task id, $3 job id, $4 priority
-- returns: written, suppressed (final, gone, or as high already), running (left in the outbox), domain_ids that are to be claimed from
-- index: jobs_pkey, domains_pkey, tasks_pkey, priority_updates_pkey
-- rows: 1
-- Anybody may call it, at any time, twice: a priority only rises. Locks jobs, then tasks, then the outbox; who writes
-- to the outbox holds the job's lock too. A task in flight is left alone: it would be a write for nothing, and if it is
-- retried the outbox still knows. One that became claimable after the last claim only stands there. A raise whose row
-- in the outbox is gone was voided. `poke` moves, so that claims read from the top.
WITH offered AS MATERIALIZED (
    SELECT r.*
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::float8[]) AS r (domain_id, task_id, job_id, priority)
), locked AS MATERIALIZED (
    SELECT j.id
    FROM pacewheel.jobs j
    WHERE j.id = ANY (ARRAY(SELECT DISTINCT o.job_id FROM offered o))
    ORDER BY j.id
    FOR NO KEY UPDATE
), in_flight AS MATERIALIZED (
    SELECT d.id AS domain_id, f.id
    FROM pacewheel.domains d
    CROSS JOIN unnest(d.in_flight) AS f (id)
    WHERE d.id = ANY (ARRAY(SELECT DISTINCT o.domain_id FROM offered o))
), looked_up AS MATERIALIZED (
    SELECT
        o.*,
        t.status = 0 AND (t.ready_at > d.claimed_at) IS NOT TRUE
        AND (o.domain_id, o.task_id) IN (SELECT f.domain_id, f.id FROM in_flight f) AS is_running
    FROM offered o
    JOIN pacewheel.domains d ON d.id = o.domain_id
    JOIN pacewheel.tasks t ON t.domain_id = o.domain_id AND t.id = o.task_id
    JOIN pacewheel.priority_updates p ON p.domain_id = o.domain_id AND p.task_id = o.task_id
    WHERE o.job_id = ANY (ARRAY(SELECT l.id FROM locked l)) AND t.job_id = o.job_id
), written AS (
    UPDATE pacewheel.tasks t
    SET priority = u.priority
    FROM looked_up u
    WHERE
        t.domain_id = u.domain_id AND t.id = u.task_id AND NOT u.is_running
        AND t.status < 2 AND t.priority < u.priority
    RETURNING t.domain_id, t.job_id, t.status
), poked AS (
    UPDATE pacewheel.jobs j
    SET poke = j.poke + 1
    WHERE j.id = ANY (ARRAY(SELECT DISTINCT w.job_id FROM written w WHERE w.status = 0))
), cleared AS (
    DELETE FROM pacewheel.priority_updates p
    USING offered o
    WHERE
        p.domain_id = o.domain_id AND p.task_id = o.task_id AND p.priority <= o.priority
        AND (o.domain_id, o.task_id) NOT IN (SELECT u.domain_id, u.task_id FROM looked_up u WHERE u.is_running)
)
SELECT
    (SELECT count(*) FROM written)::integer AS written,
    (
        cardinality($1::bigint[]) - (SELECT count(*) FROM written)
        - (SELECT count(*) FROM looked_up u WHERE u.is_running)
    )::integer AS suppressed,
    (SELECT count(*) FROM looked_up u WHERE u.is_running)::integer AS running,
    ARRAY(SELECT DISTINCT w.domain_id FROM written w WHERE w.status = 0) AS domain_ids
