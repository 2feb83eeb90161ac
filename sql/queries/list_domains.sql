-- purpose: read domains with their gates and what lives in them, one by name or a page of a list
-- params: $1 name or null, $2 text that names contain or null, $3 whether only those with live jobs, $4 sort: name, live, gap, blocked, refused or next (all but name only with $3), $5 most domains, $6 how many to pass over
-- returns: the domain's gap and its parts, next_slot_in_ms, blocked_in_ms (null: nothing is blocked), block_reason, refused_at (its last 429 or 503; null: none), owner, and of its live jobs: live_jobs, pending, waiting, running, completed, failed
-- index: jobs_live, domains_pkey, domains_name_key, tasks_pkey
-- rows: at most $5
-- Of the domains only those that are shown are read with their running tasks. A list of all goes by the index of names.
WITH live AS MATERIALIZED (
    SELECT j.domain_id, sum(j.pending + j.waiting)::float8 AS tasks
    FROM pacewheel.jobs j
    WHERE j.status < 3 AND $1::text IS NULL AND $3::boolean
    GROUP BY j.domain_id
), named AS MATERIALIZED (
    SELECT d.id, NULL::float8 AS place FROM pacewheel.domains d WHERE d.name = $1::text
    UNION ALL
    (
        SELECT d.id, p.place
        FROM live l
        JOIN pacewheel.domains d ON d.id = l.domain_id
        CROSS JOIN LATERAL (
            SELECT CASE $4::text
                WHEN 'live' THEN -l.tasks
                WHEN 'gap' THEN -d.gap_ms
                WHEN 'blocked' THEN -extract(epoch FROM d.blocked_until)::float8
                WHEN 'refused' THEN -extract(epoch FROM d.refused_at)::float8
                WHEN 'next' THEN extract(epoch FROM d.next_slot_at)::float8
            END AS place
        ) p
        WHERE $2::text IS NULL OR strpos(lower(d.name), lower($2::text)) > 0
        ORDER BY p.place, d.name
        LIMIT $5::integer OFFSET $6::integer
    )
    UNION ALL
    (
        SELECT d.id, NULL
        FROM pacewheel.domains d
        WHERE
            $1::text IS NULL AND NOT $3::boolean
            AND ($2::text IS NULL OR strpos(lower(d.name), lower($2::text)) > 0)
        ORDER BY d.name
        LIMIT $5::integer OFFSET $6::integer
    )
)
SELECT
    d.id, d.name, d.owner, d.gap_ms, d.base_delay_ms, d.robots_delay_ms, d.adaptive_delay_ms,
    CASE
        -- Not of the difference itself: before PostgreSQL 17 nothing is subtracted from infinity.
        WHEN d.next_slot_at > statement_timestamp()
            THEN extract(epoch FROM d.next_slot_at - statement_timestamp())::float8 * 1000
        ELSE 0
    END AS next_slot_in_ms,
    CASE
        WHEN d.blocked_until > statement_timestamp()
            THEN extract(epoch FROM d.blocked_until - statement_timestamp())::float8 * 1000
        WHEN d.block_reason = 'circuit_open' THEN 0
    END AS blocked_in_ms,
    CASE
        WHEN d.block_reason IS NOT NULL THEN d.block_reason
        WHEN d.blocked_until > statement_timestamp() THEN 'retry_after'
    END AS block_reason,
    d.refused_at, d.failures, s.live_jobs, s.pending, s.waiting, s.running, s.completed, s.failed
FROM named n
JOIN pacewheel.domains d ON d.id = n.id
CROSS JOIN LATERAL (
    SELECT
        count(*) AS live_jobs,
        coalesce(sum(s.pending), 0)::bigint AS pending,
        coalesce(sum(j.waiting), 0)::bigint AS waiting,
        coalesce(sum(s.running), 0)::bigint AS running,
        coalesce(sum(j.completed), 0)::bigint AS completed,
        coalesce(sum(j.failed), 0)::bigint AS failed
    FROM pacewheel.jobs j
    JOIN pacewheel.job_states s ON s.job_id = j.id
    WHERE j.domain_id = d.id AND j.status < 3
) s
ORDER BY n.place, d.name
