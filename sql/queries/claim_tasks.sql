-- purpose: claim the best claimable tasks of the caller's due domains, advance their slots, note them in flight
-- params: $1 worker id, $2 domain ids, $3 their epochs, $4 ids of the caller's unsettled tasks, domain by domain, $10 where those of each domain end, $5 job ids and of each: $6 tasks running, $11 poke, $12 priority and $13 id of the last task claimed, $14 how far ahead of its share it is; $7 handlers, $8 most tasks a domain, $9 lead ms, $15 least gap of each domain in ms (may be shorter than $2: none)
-- returns: one row a domain still held: gap_ms, blocked_in_ms, slot_in_ms, limited (a job was at its limit), filled (one is now), wake_in_ms (its next waiting task), and arrays of the tasks claimed, best first, with their jobs' poke and the ms they were claimable; if jobs share the domain, their tags and strides and the weight of all that compete; which of them a pause held back (null: no job of the domain was ever paused); the jobs that this started, or null, and the domain's name if so
-- index: domains_pkey, jobs_live, tasks_claim (in order: no sort, no scan of what can't run)
-- rows: at most $8 a domain
-- In flight becomes what the caller has unsettled and what it gets now: a settle leaves the
-- domain's row alone, so that claims and settles of a domain don't wait for each other. Reading
-- goes on behind the last task claimed of a job, as long as nothing was added to it since (its
-- poke): what lies before is unsettled or final, and walking over its dead index entries is what
-- made claims slow. A domain with a gap gives the slots that fall within the lead (normally one).
-- The caller passes what it has in flight, since a task settled while this statement waits for the
-- domain's row is still pending in its snapshot. Jobs of one domain share its slots by weight, 8 to
-- the power of their priority: a task's tag is what its job is ahead, plus the tasks before it times
-- the stride (one over the weight), and the smallest tags win (start-time fair queueing, Goyal et al.
-- 1996); of equal ones that of the job longest without progress. So a lesser job gets less, and never
-- nothing, however many new ones come; within a job the best priority goes first.
-- Everything is done domain by domain, by index: a join of what was found for one domain with what was
-- found for another would cost the square of the domains asked.
WITH asked AS MATERIALIZED (
    SELECT a.domain_id, a.epoch, coalesce(($10::integer[])[a.nth - 1], 0) + 1 AS first, a.last, a.least_gap_ms
    FROM unnest($2::bigint[], $3::bigint[], $10::integer[], $15::integer[])
        WITH ORDINALITY AS a (domain_id, epoch, last, least_gap_ms, nth)
), held AS MATERIALIZED (
    SELECT d.id, d.next_slot_at, d.blocked_until, greatest(d.gap_ms, a.least_gap_ms) AS gap_ms, a.first, a.last
    FROM pacewheel.domains d
    JOIN asked a ON a.domain_id = d.id AND a.epoch = d.epoch
    WHERE d.owner = $1
    ORDER BY d.id
    FOR NO KEY UPDATE OF d
), timed AS MATERIALIZED (
    SELECT h.*, clock.now, greatest(h.next_slot_at, clock.now) AS start_at
    FROM held h, (SELECT clock_timestamp() AS now) clock
), gated AS MATERIALIZED (
    SELECT
        t.*,
        CASE
            WHEN t.blocked_until > t.now THEN 0
            WHEN t.gap_ms = 0 THEN $8::integer
            WHEN t.next_slot_at > t.now + $9::integer * interval '1 ms' THEN 0
            ELSE least(
                $8::integer,
                1 + floor(($9::integer - extract(epoch FROM t.start_at - t.now) * 1000) / t.gap_ms)::integer
            )
        END AS slots
    FROM timed t
), batches AS MATERIALIZED (
    SELECT g.*, a.competing, a.limited, c.*
    FROM gated g
    CROSS JOIN LATERAL (
        SELECT
            count(*) > 1 AS shared,
            sum(j.weight) FILTER (WHERE j.concurrency > coalesce(($6::integer[])[n.nth], 0)) AS competing,
            bool_or(j.concurrency <= ($6::integer[])[n.nth]) AS limited,
            bool_or(j.resumed_at IS NOT NULL) AS resumed
        FROM pacewheel.jobs j
        CROSS JOIN LATERAL (SELECT array_position($5::bigint[], j.id) AS nth OFFSET 0) n
        WHERE j.domain_id = g.id AND j.status < 2 AND j.pending > 0 AND j.handler = ANY ($7::text[])
    ) a
    CROSS JOIN LATERAL (
        SELECT
            count(*)::integer AS claimed,
            array_agg(p.id) AS task_ids,
            array_agg(p.job_id) AS job_ids,
            array_agg(p.priority) AS priorities,
            array_agg(p.attempt) AS attempts,
            array_agg(p.target) AS targets,
            array_agg(p.payload) AS payloads,
            array_agg(p.poke) AS pokes,
            -- Not extract: its numeric takes twice as long.
            array_agg(least(date_part('epoch', g.now - p.since) * 1000, 2147483647)::integer) AS waits_ms,
            bool_or(p.nth = p.free) AS filled,
            array_agg(p.tag) FILTER (WHERE a.shared) AS tags,
            array_agg(p.stride) FILTER (WHERE a.shared) AS strides,
            array_agg(coalesce(p.since < p.resumed_at, false)) FILTER (WHERE a.resumed) AS paused,
            array_agg(p.job_id) FILTER (WHERE p.job_status = 0) AS starting
        FROM (
            SELECT r.*, t.*, r.ahead + (t.nth - 1) * r.stride AS tag
            FROM (
                SELECT
                    j.id AS job_id, j.status AS job_status, j.poke, j.resumed_at, 1 / j.weight AS stride,
                    coalesce(j.last_progress_at, j.created_at) AS progress_at,
                    j.concurrency - coalesce(($6::integer[])[n.nth], 0) AS free,
                    coalesce(($14::float8[])[n.nth], 0) AS ahead,
                    CASE WHEN ($11::bigint[])[n.nth] = j.poke THEN ($12::float8[])[n.nth] ELSE 'NaN' END
                        AS last_priority,
                    CASE WHEN ($11::bigint[])[n.nth] = j.poke THEN ($13::bigint[])[n.nth] ELSE 9223372036854775807 END
                        AS last_id
                FROM pacewheel.jobs j
                CROSS JOIN LATERAL (SELECT array_position($5::bigint[], j.id) AS nth OFFSET 0) n
                WHERE j.domain_id = g.id AND j.status < 2 AND j.pending > 0 AND j.handler = ANY ($7::text[])
            ) r
            CROSS JOIN LATERAL (
                SELECT
                    t.id, t.priority, t.attempt, t.target, t.payload, coalesce(t.ready_at, t.created_at) AS since,
                    row_number() OVER (ORDER BY t.priority DESC, t.id DESC) AS nth
                FROM pacewheel.tasks t
                WHERE
                    t.domain_id = g.id AND t.job_id = r.job_id AND t.status = 0
                    AND (t.priority, t.id) < (r.last_priority, r.last_id)
                    AND t.id NOT IN (SELECT b.id FROM unnest($4::bigint[]) AS b (id))
                ORDER BY t.priority DESC, t.id DESC
                LIMIT least(g.slots, r.free)
            ) t
            WHERE r.free > 0
            ORDER BY r.ahead + (t.nth - 1) * r.stride, r.progress_at, t.priority DESC, t.id DESC
            LIMIT g.slots
        ) p
    ) c
), starting AS MATERIALIZED (
    SELECT j.id
    FROM pacewheel.jobs j
    WHERE j.id = ANY (ARRAY(SELECT unnest(b.starting) FROM batches b)) AND j.status = 0
    ORDER BY j.id
    FOR NO KEY UPDATE
), started AS (
    UPDATE pacewheel.jobs j
    SET status = 1, started_at = coalesce(j.started_at, clock_timestamp())
    WHERE j.id = ANY (ARRAY(SELECT s.id FROM starting s)) AND j.status = 0
    RETURNING j.id
), advanced AS (
    UPDATE pacewheel.domains d
    SET
        in_flight = ($4::bigint[])[b.first:b.last] || b.task_ids,
        claimed_at = b.now,
        next_slot_at = CASE
            WHEN b.gap_ms > 0 THEN b.start_at + b.claimed * b.gap_ms * interval '1 ms'
            ELSE d.next_slot_at
        END
    FROM batches b
    WHERE d.id = b.id AND b.claimed > 0
)
SELECT
    CASE WHEN b.starting IS NOT NULL
        THEN ARRAY(SELECT s.id FROM started s WHERE s.id = ANY (b.starting) ORDER BY s.id) END AS started,
    CASE WHEN b.starting IS NOT NULL
        THEN (SELECT d.name FROM pacewheel.domains d WHERE d.id = b.id) END AS domain,
    b.id AS domain_id,
    b.gap_ms,
    CASE WHEN b.blocked_until > b.now THEN extract(epoch FROM b.blocked_until - b.now)::float8 * 1000 END
        AS blocked_in_ms,
    CASE WHEN b.gap_ms = 0 THEN 0 ELSE extract(epoch FROM b.start_at - b.now)::float8 * 1000 + b.claimed * b.gap_ms END
        AS slot_in_ms,
    coalesce(b.limited AND b.slots > 0, false) AS limited,
    coalesce(b.filled, false) AS filled,
    CASE WHEN EXISTS (SELECT FROM pacewheel.jobs j WHERE j.domain_id = b.id AND j.status < 2 AND j.waiting > 0) THEN (
        SELECT extract(epoch FROM min(t.ready_at) - b.now)::float8 * 1000
        FROM pacewheel.tasks t
        WHERE t.domain_id = b.id AND t.status = 1
    ) END AS wake_in_ms,
    b.claimed,
    b.waits_ms, b.tags, b.strides, b.competing, b.paused,
    b.task_ids, b.job_ids, b.priorities, b.attempts, b.targets, b.payloads, b.pokes
FROM batches b
