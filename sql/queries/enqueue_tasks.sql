-- purpose: insert new tasks of one or several jobs, each (job, key) once, within the jobs' max_tasks, counters moved, owners hinted
-- params: a row each: $1 job id, $2 target, $3 key or null, $4 priority, $5 payload (JSON text) or null, $6 ready in ms or null; then $7 probe (0, then up for hash collisions), $8 whether to notify; $9 a row each: whether it is beyond max_tasks, or null
-- returns: inserted, known (there already), over_limit, refused (their job is final or unknown), collided (positions to be offered again under the next probe), domain_ids that got tasks, hinted and rung (whether hints went out), and the raises that count, a row each: raised_domain_ids, raised_task_ids, raised_job_ids, raised_priorities; overtaken: nothing was done, say it again
-- index: jobs_pkey, tasks_pkey, priority_updates_pkey
-- rows: 1
-- Locks the jobs in id order. Refuses nothing by exception: the caller reads the counts. A known task offered with a
-- higher priority is a raise: it goes to the outbox in this transaction, unless the row or the outbox has as high a
-- one, or the task is final. Of several offers of a new key the highest priority counts (of two keys with one hash in
-- one batch, once in 2^48, the first gets the other's). A task beyond max_tasks takes none of their places: max_tasks
-- grows with it.
-- Who holds the lock of a job sees all of its tasks, unless another transaction was at it between the snapshot and the
-- lock, which the poke shows: then this does nothing, and said again in the same transaction, under a new snapshot, it
-- sees them all. So the insert need not look for conflicts, which would cost it a sixth of the whole.
WITH locked AS MATERIALIZED (
    SELECT j.id, j.domain_id, j.total, j.max_tasks, j.poke
    FROM pacewheel.jobs j
    WHERE j.id = ANY (ARRAY(SELECT DISTINCT u.id FROM unnest($1::bigint[]) AS u (id))) AND j.status < 3
    ORDER BY j.id
    FOR NO KEY UPDATE
), overtaken AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM locked l JOIN pacewheel.jobs j ON j.id = l.id AND j.poke < l.poke) AS is_so
), looked_up AS MATERIALIZED (
    SELECT
        o.*, t.id IS NULL AS is_new, t.job_id = o.job_id AND coalesce(t.key, t.target) = o.key AS is_known,
        t.status < 2 AND t.priority < o.priority AND o.priority < 'NaN' AS is_raise
    FROM (
        SELECT
            h.*, row_number() OVER same_id AS nth, max(h.priority) OVER same_id AS highest,
            first_value(h.key) OVER same_id = h.key AS same_key
        FROM (
            SELECT
                l.domain_id, l.id AS job_id, i.position, i.target, i.priority, i.payload, i.ready_in_ms,
                coalesce(i.beyond_limit, false) AS beyond_limit,
                CASE WHEN i.beyond_limit IS NOT TRUE THEN l.max_tasks - l.total END AS room,
                coalesce(i.key, i.target) AS key,
                pacewheel.task_id(l.id, coalesce(i.key, i.target), $7) AS id
            FROM unnest($1::bigint[], $2::text[], $3::text[], $4::float8[], $5::text[], $6::bigint[], $9::boolean[])
                WITH ORDINALITY AS i (job_id, target, key, priority, payload, ready_in_ms, beyond_limit, position)
            JOIN locked l ON l.id = i.job_id
            WHERE NOT (SELECT o.is_so FROM overtaken o)
        ) h
        WINDOW same_id AS (
            PARTITION BY h.domain_id, h.id ORDER BY h.position
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        )
    ) o
    LEFT JOIN pacewheel.tasks t ON t.domain_id = o.domain_id AND t.id = o.id
), fresh AS MATERIALIZED (
    SELECT u.*, true AS fits
    FROM looked_up u
    WHERE u.is_new AND u.nth = 1 AND u.room IS NULL
    UNION ALL
    SELECT u.*, row_number() OVER (PARTITION BY u.job_id ORDER BY u.position) <= u.room
    FROM looked_up u
    WHERE u.is_new AND u.nth = 1 AND u.room IS NOT NULL
), inserted AS (
    INSERT INTO pacewheel.tasks (
        domain_id, id, job_id, priority, created_at, ready_at, status, waiting_reason, target, key, payload
    )
    SELECT
        f.domain_id, f.id, f.job_id, f.highest, now(),
        CASE WHEN f.ready_in_ms > 0 THEN now() + f.ready_in_ms * interval '1 ms' END,
        CASE WHEN f.ready_in_ms > 0 THEN 1 ELSE 0 END,
        CASE WHEN f.ready_in_ms > 0 THEN 1 END,
        f.target, nullif(f.key, f.target), f.payload::jsonb
    FROM fresh f
    WHERE f.fits
    RETURNING job_id, domain_id, id, status
), counted AS (
    UPDATE pacewheel.jobs j
    SET
        total = j.total + c.total,
        pending = j.pending + c.pending,
        waiting = j.waiting + c.total - c.pending,
        max_tasks = j.max_tasks + (SELECT count(*) FROM fresh f WHERE f.beyond_limit AND f.job_id = j.id),
        poke = j.poke + 1
    FROM (
        SELECT i.job_id, count(*) AS total, count(*) FILTER (WHERE i.status = 0) AS pending
        FROM inserted i
        GROUP BY i.job_id
    ) c
    WHERE j.id = c.job_id
), raised AS (
    INSERT INTO pacewheel.priority_updates AS p (domain_id, task_id, job_id, priority)
    SELECT u.domain_id, u.id, u.job_id, max(u.priority)
    FROM looked_up u
    WHERE u.is_known AND u.is_raise
    GROUP BY u.domain_id, u.id, u.job_id
    ORDER BY u.domain_id, u.id
    ON CONFLICT (domain_id, task_id) DO UPDATE SET priority = excluded.priority WHERE p.priority < excluded.priority
    RETURNING p.domain_id, p.task_id, p.job_id, p.priority
)
SELECT
    (SELECT count(*) FROM inserted)::integer AS inserted,
    (SELECT count(*) FROM looked_up u WHERE u.is_known OR (u.is_new AND u.nth > 1 AND u.same_key))::integer AS known,
    (SELECT count(*) FROM fresh f WHERE NOT f.fits)::integer AS over_limit,
    cardinality($1::bigint[]) - (SELECT count(*) FROM looked_up)::integer AS refused,
    ARRAY(
        SELECT u.position::integer
        FROM looked_up u
        WHERE NOT u.is_known OR (u.is_new AND u.nth > 1 AND NOT u.same_key)
        ORDER BY u.position
    ) AS collided,
    ARRAY(SELECT DISTINCT i.domain_id FROM inserted i) AS domain_ids,
    (
        SELECT pg_notify('pacewheel', 'enqueued ' || string_agg(i.domain_id::text, ' '))
        FROM (SELECT DISTINCT i.domain_id FROM inserted i LIMIT 300) i
        WHERE $8::boolean
        HAVING count(*) > 0
    ) IS NOT NULL AS hinted,
    (
        SELECT pg_notify('pacewheel', 'raised ' || string_agg(r.domain_id::text, ' '))
        FROM (SELECT DISTINCT r.domain_id FROM raised r LIMIT 300) r
        WHERE $8::boolean
        HAVING count(*) > 0
    ) IS NOT NULL AS rung,
    r.*,
    (SELECT o.is_so FROM overtaken o) AS overtaken
FROM (
    SELECT
        coalesce(array_agg(r.domain_id), '{}') AS raised_domain_ids,
        coalesce(array_agg(r.task_id), '{}') AS raised_task_ids,
        coalesce(array_agg(r.job_id), '{}') AS raised_job_ids,
        coalesce(array_agg(r.priority), '{}') AS raised_priorities
    FROM raised r
) r
