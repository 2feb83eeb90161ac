-- purpose: claim the best claimable tasks of the caller's due domains, advance their slots, note them in flight
-- params: $1 worker id, $2 domain ids, $3 their epochs, $4 ids of the caller's unsettled tasks, $10 their domain ids, $5 job ids and of each: $6 tasks running, $11 poke, $12 priority and $13 id of the last task claimed, $14 how far ahead of its share it is; $7 handlers, $8 most tasks a domain, $9 lead ms, $15 least gap of each domain in ms (may be shorter than $2: none)
-- returns: one row a domain still held: gap_ms, blocked_in_ms, slot_in_ms, limited (a job was at its limit), filled (one is now), wake_in_ms (its next waiting task), and arrays of the tasks claimed, best first, with their jobs' poke and the ms they were claimable; if jobs share the domain, their tags and strides and the weight of all that compete; which of them a pause held back (null: none)
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
WITH asked AS MATERIALIZED (
    SELECT a.domain_id, a.epoch, a.least_gap_ms
    FROM unnest($2::bigint[], $3::bigint[], $15::integer[]) AS a (domain_id, epoch, least_gap_ms)
), unsettled AS MATERIALIZED (
    SELECT u.domain_id, array_agg(u.id) AS ids
    FROM unnest($4::bigint[], $10::bigint[]) AS u (id, domain_id)
    GROUP BY u.domain_id
), held AS MATERIALIZED (
    SELECT d.id, d.next_slot_at, d.blocked_until, greatest(d.gap_ms, a.least_gap_ms) AS gap_ms
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
), room AS MATERIALIZED (
    SELECT
        g.id AS domain_id, g.slots, j.id AS job_id, j.status, j.poke,
        least(g.slots, j.concurrency - coalesce(r.running, 0)) AS room,
        j.concurrency - coalesce(r.running, 0) AS free,
        coalesce(r.ahead, 0) AS ahead, 1 / j.weight AS stride,
        count(*) OVER same_domain > 1 AS shared,
        sum(j.weight) FILTER (WHERE j.concurrency > coalesce(r.running, 0)) OVER same_domain AS competing,
        coalesce(j.last_progress_at, j.created_at) AS progress_at,
        j.resumed_at, g.now,
        CASE WHEN r.poke = j.poke THEN r.last_priority ELSE 'NaN' END AS last_priority,
        CASE WHEN r.poke = j.poke THEN r.last_id ELSE 9223372036854775807 END AS last_id
    FROM gated g
    JOIN pacewheel.jobs j ON j.domain_id = g.id AND j.status IN (0, 1)
    LEFT JOIN unnest($5::bigint[], $6::integer[], $11::bigint[], $12::float8[], $13::bigint[], $14::float8[])
        AS r (job_id, running, poke, last_priority, last_id, ahead) ON r.job_id = j.id
    WHERE j.status < 3 AND j.pending > 0 AND j.handler = ANY ($7::text[])
    WINDOW same_domain AS (PARTITION BY g.id)
), picked AS (
    SELECT
        r.domain_id, r.slots, r.job_id, r.poke, r.status AS job_status, t.id, t.priority, t.attempt,
        t.target, t.payload,
        least(extract(epoch FROM r.now - t.since) * 1000, 2147483647)::integer AS waited_ms,
        t.since < r.resumed_at AS was_paused, t.nth = r.free AS fills,
        r.shared, r.competing, r.stride, r.ahead + (t.nth - 1) * r.stride AS tag,
        row_number() OVER (
            PARTITION BY r.domain_id
            ORDER BY r.ahead + (t.nth - 1) * r.stride, r.progress_at, t.priority DESC, t.id DESC
        ) AS rank
    FROM room r
    CROSS JOIN LATERAL (
        SELECT
            t.id, t.priority, t.attempt, t.target, t.payload, coalesce(t.ready_at, t.created_at) AS since,
            row_number() OVER (ORDER BY t.priority DESC, t.id DESC) AS nth
        FROM pacewheel.tasks t
        WHERE
            t.domain_id = r.domain_id AND t.job_id = r.job_id AND t.status = 0
            AND (t.priority, t.id) < (r.last_priority, r.last_id)
            AND t.id NOT IN (SELECT b.id FROM unnest($4::bigint[]) AS b (id))
        ORDER BY t.priority DESC, t.id DESC
        LIMIT r.room
    ) t
    WHERE r.room > 0
), chosen AS MATERIALIZED (
    SELECT p.*
    FROM picked p
    WHERE p.rank <= p.slots
    ORDER BY p.domain_id, p.rank
), batches AS MATERIALIZED (
    SELECT
        c.domain_id,
        count(*)::integer AS claimed,
        array_agg(c.id) AS task_ids,
        array_agg(c.job_id) AS job_ids,
        array_agg(c.priority) AS priorities,
        array_agg(c.attempt) AS attempts,
        array_agg(c.target) AS targets,
        array_agg(c.payload) AS payloads,
        array_agg(c.poke) AS pokes,
        array_agg(c.waited_ms) AS waits_ms,
        bool_or(c.fills) AS filled,
        CASE WHEN bool_or(c.shared) THEN array_agg(c.tag) END AS tags,
        CASE WHEN bool_or(c.shared) THEN array_agg(c.stride) END AS strides,
        CASE WHEN bool_or(c.shared) THEN max(c.competing) END AS competing,
        CASE WHEN bool_or(c.was_paused) THEN array_agg(coalesce(c.was_paused, false)) END AS paused,
        (SELECT u.ids FROM unsettled u WHERE u.domain_id = c.domain_id) AS unsettled
    FROM chosen c
    GROUP BY c.domain_id
), starting AS MATERIALIZED (
    SELECT j.id
    FROM pacewheel.jobs j
    WHERE j.id = ANY (ARRAY(SELECT c.job_id FROM chosen c WHERE c.job_status = 0)) AND j.status = 0
    ORDER BY j.id
    FOR NO KEY UPDATE
), started AS (
    UPDATE pacewheel.jobs j
    SET status = 1, started_at = coalesce(j.started_at, clock_timestamp())
    WHERE j.id = ANY (ARRAY(SELECT s.id FROM starting s)) AND j.status = 0
), advanced AS (
    UPDATE pacewheel.domains d
    SET
        in_flight = b.unsettled || b.task_ids,
        claimed_at = g.now,
        next_slot_at = CASE
            WHEN g.gap_ms > 0 THEN g.start_at + b.claimed * g.gap_ms * interval '1 ms'
            ELSE d.next_slot_at
        END
    FROM batches b
    JOIN gated g ON g.id = b.domain_id
    WHERE d.id = b.domain_id
)
SELECT
    g.id AS domain_id,
    g.gap_ms,
    CASE WHEN g.blocked_until > g.now THEN extract(epoch FROM g.blocked_until - g.now)::float8 * 1000 END
        AS blocked_in_ms,
    CASE
        WHEN g.gap_ms = 0 THEN 0
        WHEN b.claimed IS NULL THEN extract(epoch FROM g.start_at - g.now)::float8 * 1000
        ELSE extract(epoch FROM g.start_at - g.now)::float8 * 1000 + b.claimed * g.gap_ms
    END AS slot_in_ms,
    coalesce((SELECT bool_or(r.room <= 0) FROM room r WHERE r.domain_id = g.id AND g.slots > 0), false) AS limited,
    coalesce(b.filled, false) AS filled,
    CASE WHEN EXISTS (SELECT FROM pacewheel.jobs j WHERE j.domain_id = g.id AND j.status < 2 AND j.waiting > 0) THEN (
        SELECT extract(epoch FROM min(t.ready_at) - g.now)::float8 * 1000
        FROM pacewheel.tasks t
        WHERE t.domain_id = g.id AND t.status = 1
    ) END AS wake_in_ms,
    coalesce(b.claimed, 0) AS claimed,
    b.waits_ms, b.tags, b.strides, b.competing, b.paused,
    b.task_ids, b.job_ids, b.priorities, b.attempts, b.targets, b.payloads, b.pokes
FROM gated g
LEFT JOIN batches b ON b.domain_id = g.id
