-- purpose: make pending the waiting tasks that have become ready
-- params: $1 domain ids, $2 most tasks a domain
-- returns: one row a domain: domain_id, woken, wake_in_ms (its next waiting task; 0 when $2 cut the batch), scheduled_ms (of those woken that were scheduled, how long each was to wait)
-- index: tasks_wake, jobs_pkey, tasks_pkey
-- rows: one a domain
-- A hint asks for this, the row decides; anybody may call it, at any time, twice. The update asks for the row as it was
-- seen, for while this waited for the job another may have woken and retried it; it does not say `status = 1`, which
-- would offer the planner a join with all of tasks_wake. The row keeps `ready_at`: since then it is claimable.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), due AS MATERIALIZED (
    SELECT d.id AS domain_id, t.id, t.job_id, t.waiting_reason, t.ready_at
    FROM clock, unnest($1::bigint[]) AS d (id)
    CROSS JOIN LATERAL (
        SELECT t.id, t.job_id, t.waiting_reason, t.ready_at
        FROM pacewheel.tasks t
        WHERE t.domain_id = d.id AND t.status = 1 AND t.ready_at <= clock.now
        ORDER BY t.ready_at
        LIMIT $2
    ) t
), locked AS MATERIALIZED (
    SELECT j.id
    FROM pacewheel.jobs j
    WHERE j.id = ANY (ARRAY(SELECT DISTINCT u.job_id FROM due u)) AND j.status < 3
    ORDER BY j.id
    FOR NO KEY UPDATE
), woken AS (
    UPDATE pacewheel.tasks t
    SET status = 0, waiting_reason = NULL
    FROM (SELECT u.* FROM due u WHERE u.job_id = ANY (ARRAY(SELECT l.id FROM locked l))) u
    WHERE t.domain_id = u.domain_id AND t.id = u.id AND t.waiting_reason = u.waiting_reason
        AND t.ready_at = u.ready_at
    RETURNING
        t.domain_id, t.job_id, u.waiting_reason,
        CASE WHEN u.waiting_reason = 1 THEN extract(epoch FROM t.ready_at - t.created_at)::float8 * 1000 END
            AS scheduled_ms
), counted AS (
    UPDATE pacewheel.jobs j
    SET
        pending = j.pending + w.woken,
        waiting = j.waiting - w.woken,
        backoff = j.backoff - w.backoff,
        poke = j.poke + 1
    FROM (
        SELECT w.job_id, count(*) AS woken, count(*) FILTER (WHERE w.waiting_reason = 0) AS backoff
        FROM woken w
        GROUP BY w.job_id
    ) w
    WHERE j.id = w.job_id
), answered AS (
    -- One pass over all of them: looked up domain by domain, a thousand domains would read ten million rows.
    SELECT
        a.domain_id, sum(a.woken)::integer AS woken, sum(a.due) AS due,
        array_agg(a.scheduled_ms) FILTER (WHERE a.scheduled_ms IS NOT NULL) AS scheduled_ms
    FROM (
        SELECT d.id AS domain_id, 0 AS woken, 0 AS due, NULL::float8 AS scheduled_ms
        FROM unnest($1::bigint[]) AS d (id)
        UNION ALL
        SELECT u.domain_id, 0, 1, NULL FROM due u
        UNION ALL
        SELECT w.domain_id, 1, 0, w.scheduled_ms FROM woken w
    ) a
    GROUP BY a.domain_id
)
SELECT
    a.domain_id,
    a.woken,
    CASE WHEN a.due >= $2 THEN 0 ELSE (
        SELECT extract(epoch FROM min(t.ready_at) - c.now)::float8 * 1000
        FROM pacewheel.tasks t
        WHERE t.domain_id = a.domain_id AND t.status = 1 AND t.ready_at > c.now
    ) END AS wake_in_ms,
    coalesce(a.scheduled_ms, '{}') AS scheduled_ms
FROM clock c, answered a
