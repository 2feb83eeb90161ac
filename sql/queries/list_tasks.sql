-- purpose: read a page of a job's tasks, of all states or of one, each with its last attempt, for people who look
-- params: $1 job id, $2 status or null (all), $3 place and $4 id after which to go on, $5 most tasks, $6 most rows to look at where no index names those asked for
-- returns: looked_to (the last id looked at, if reading stopped there), and null or: place, id, key, target, state, reason, priority, attempt, created_at, ready_at, finished_at, error, http_status, duration_ms, bytes, cache
-- index: jobs_pkey, domains_pkey, tasks_claim, tasks_wake, tasks_failed, tasks_pkey (in order: no sort), results_by_task
-- rows: 1 to $5
-- Pending tasks come in the order of their claim, waiting ones by the time they are ready, all others by id. Of states
-- without an index of their own $6 rows are looked at, whatever is found; of waiting ones those that are ready first,
-- so that no version of the server sorts all there are: of more than $6 for one instant some would be left out.
WITH job AS MATERIALIZED (
    SELECT j.domain_id, d.in_flight, d.claimed_at
    FROM pacewheel.jobs j
    JOIN pacewheel.domains d ON d.id = j.domain_id
    WHERE j.id = $1
), looked_at AS MATERIALIZED (
    SELECT t.id, t.job_id, t.status
    FROM pacewheel.tasks t
    WHERE
        ($2::smallint IS NULL OR $2::smallint IN (3, 5, 6))
        AND t.domain_id = (SELECT j.domain_id FROM job j) AND t.id > $4::bigint
        AND t.id BETWEEN pacewheel.first_task_id($1) AND pacewheel.last_task_id($1)
    ORDER BY t.id
    LIMIT $6::integer
), found AS MATERIALIZED (
    (
        SELECT t.id, -t.priority AS place
        FROM pacewheel.tasks t
        WHERE
            $2::smallint = 0
            AND t.domain_id = (SELECT j.domain_id FROM job j) AND t.job_id = $1 AND t.status = 0
            AND (t.priority, t.id) < (-$3::float8, $4::bigint)
            AND NOT (
                t.id = ANY (ARRAY(SELECT unnest(j.in_flight) FROM job j))
                AND (t.ready_at > (SELECT j.claimed_at FROM job j)) IS NOT TRUE
            )
        ORDER BY t.priority DESC, t.id DESC
        LIMIT $5::integer
    )
    UNION ALL
    (
        SELECT w.id, extract(epoch FROM w.ready_at)::float8
        FROM (
            SELECT t.id, t.ready_at
            FROM pacewheel.tasks t
            WHERE
                $2::smallint = 1
                AND t.domain_id = (SELECT j.domain_id FROM job j) AND t.job_id = $1 AND t.status = 1
                AND t.ready_at >= to_timestamp($3::float8)
                AND (t.ready_at > to_timestamp($3::float8) OR t.id > $4::bigint)
            ORDER BY t.ready_at
            LIMIT $6::integer
        ) w
        ORDER BY w.ready_at, w.id
        LIMIT $5::integer
    )
    UNION ALL
    (
        SELECT t.id, NULL
        FROM job j
        CROSS JOIN LATERAL unnest(j.in_flight) AS f (id)
        CROSS JOIN LATERAL (
            SELECT t.id, t.job_id, t.status, t.ready_at
            FROM pacewheel.tasks t
            WHERE t.domain_id = j.domain_id AND t.id = f.id
            LIMIT 1
        ) t
        WHERE
            $2::smallint = 2
            AND t.job_id = $1 AND t.status = 0 AND (t.ready_at > j.claimed_at) IS NOT TRUE AND t.id > $4::bigint
        ORDER BY t.id
        LIMIT $5::integer
    )
    UNION ALL
    (
        SELECT t.id, NULL
        FROM pacewheel.tasks t
        WHERE
            $2::smallint = 4
            AND t.domain_id = (SELECT j.domain_id FROM job j) AND t.job_id = $1 AND t.status = 4 AND t.id > $4::bigint
        ORDER BY t.id
        LIMIT $5::integer
    )
    UNION ALL
    (
        SELECT l.id, NULL
        FROM looked_at l
        WHERE l.job_id = $1 AND ($2::smallint IS NULL OR l.status = $2::smallint)
        ORDER BY l.id
        LIMIT $5::integer
    )
), page AS (
    -- One of the parts above has rows, in their order.
    SELECT f.id, f.place, row_number() OVER () AS nth FROM found f
)
SELECT
    e.looked_to, p.place, t.id, coalesce(t.key, t.target) AS key, t.target, t.priority, t.attempt, t.created_at,
    t.ready_at, t.finished_at,
    CASE
        WHEN t.status = 0 AND t.id = ANY (j.in_flight) AND (t.ready_at > j.claimed_at) IS NOT TRUE THEN 2
        ELSE t.status
    END AS state,
    CASE
        WHEN t.status = 1 THEN (ARRAY['retry_backoff', 'scheduled'])[t.waiting_reason + 1]
        WHEN t.status = 0 AND (t.id <> ALL (j.in_flight) OR t.ready_at > j.claimed_at) THEN CASE
            WHEN t.id = ANY (ARRAY(SELECT s.id FROM pacewheel.startable_tasks s WHERE s.job_id = $1))
                THEN 'worker_capacity'
            ELSE (SELECT s.pending_reason FROM pacewheel.job_states s WHERE s.job_id = $1)
        END
    END AS reason,
    r.error, r.http_status, r.duration_ms, r.bytes, r.cache
FROM (
    SELECT CASE WHEN count(*) = $6::integer THEN max(l.id) END AS looked_to FROM looked_at l
) e
CROSS JOIN job j
LEFT JOIN page p ON true
LEFT JOIN pacewheel.tasks t ON t.domain_id = j.domain_id AND t.id = p.id
LEFT JOIN LATERAL (
    SELECT r.error, r.http_status, r.duration_ms, r.bytes, r.cache
    FROM pacewheel.results r
    WHERE r.job_id = $1 AND r.task_id = t.id AND r.attempt = t.attempt
    ORDER BY r.finished_at DESC
    LIMIT 1
) r ON true
ORDER BY p.nth
