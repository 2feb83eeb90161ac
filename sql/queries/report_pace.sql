-- purpose: compare every departure of a job with the gap that was in force and with the pauses that its site asked for
-- params: $1 job id
-- returns: departures, least_gap_ms, most_gap_ms (in force), too_close (closer than permitted), seen_ms and permitted_ms of the tightest, permitted_sum_ms and seen_sum_ms (between departures of the job); handovers (between two owners, by the database's clock), handovers_too_close (by more than precision_ms), handover_ms (the shortest), precision_ms; pauses, asked_ms, departed_within; paused_ms
-- index: results_by_task
-- rows: 1
-- A pause counts from the moment its answer was read, 50 ms of grace for what was on its way to the wire.
-- `precision_ms` is how far both clocks differ at the 95th percentile, where both are known.
WITH attempts AS MATERIALIZED (
    SELECT
        r.departed_at, r.apart_ms, r.gap_ms, r.pause_ms,
        coalesce(
            r.departed_at + interval '1 ms' * coalesce(
                jsonb_path_query_first(r.detail, '$.timings.total ? (@ >= 0 && @ < 1e12)')::float8, r.duration_ms
            ),
            r.finished_at
        ) AS answered_at
    FROM pacewheel.results r
    WHERE r.job_id = $1 AND (r.departed_at IS NOT NULL OR r.pause_ms > 0)
), events AS (
    SELECT a.departed_at AS at, a.departed_at, a.apart_ms, a.gap_ms, NULL::timestamptz AS paused_until
    FROM attempts a
    WHERE a.departed_at IS NOT NULL
    UNION ALL
    SELECT a.answered_at + interval '50 ms', NULL, NULL, NULL, a.answered_at + a.pause_ms * interval '1 ms'
    FROM attempts a
    WHERE a.pause_ms > 0
), timed AS MATERIALIZED (
    SELECT
        e.*,
        max(e.paused_until) OVER (ORDER BY e.at) AS pause_ends_at,
        max(e.departed_at) OVER (ORDER BY e.at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_at
    FROM events e
), departures AS MATERIALIZED (
    SELECT
        t.*,
        extract(epoch FROM t.departed_at - t.before_at)::float8 * 1000 AS by_clock_ms,
        CASE
            WHEN t.pause_ends_at > t.before_at
            THEN extract(epoch FROM least(t.pause_ends_at, t.departed_at) - t.before_at)::float8 * 1000
        END AS paused_ms
    FROM timed t
    WHERE t.departed_at IS NOT NULL
), clocks AS MATERIALIZED (
    SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY abs(d.by_clock_ms - d.apart_ms)) AS differ_ms
    FROM departures d
), judged AS MATERIALIZED (
    SELECT
        d.*, d.apart_ms IS NULL AND d.before_at IS NOT NULL AS is_handover,
        d.apart_ms IS NULL AND d.by_clock_ms + coalesce(c.differ_ms, 0) < d.gap_ms AS is_close_handover,
        -- What lies before the job's first departure is not of the job.
        d.apart_ms IS NOT NULL AND d.before_at IS NOT NULL AS counts
    FROM departures d, clocks c
), tightest AS MATERIALIZED (
    SELECT coalesce(d.apart_ms, d.by_clock_ms) AS seen_ms, d.gap_ms
    FROM judged d
    WHERE (d.apart_ms IS NOT NULL OR d.is_close_handover) AND d.gap_ms > 0
    ORDER BY coalesce(d.apart_ms, d.by_clock_ms) / d.gap_ms
    LIMIT 1
)
SELECT
    count(*) AS departures,
    min(d.gap_ms) FILTER (WHERE d.gap_ms > 0) AS least_gap_ms,
    max(d.gap_ms) AS most_gap_ms,
    count(*) FILTER (WHERE d.apart_ms < d.gap_ms) AS too_close,
    (SELECT t.seen_ms FROM tightest t) AS seen_ms,
    (SELECT t.gap_ms FROM tightest t) AS permitted_ms,
    coalesce(sum(d.gap_ms) FILTER (WHERE d.counts), 0)::float8 AS permitted_sum_ms,
    coalesce(sum(d.apart_ms) FILTER (WHERE d.counts), 0) AS seen_sum_ms,
    count(*) FILTER (WHERE d.is_handover) AS handovers,
    min(d.by_clock_ms) FILTER (WHERE d.is_handover) AS handover_ms,
    count(*) FILTER (WHERE d.is_close_handover) AS handovers_too_close,
    (SELECT c.differ_ms FROM clocks c) AS precision_ms,
    (SELECT count(*) FROM attempts a WHERE a.pause_ms > 0) AS pauses,
    (SELECT coalesce(sum(a.pause_ms), 0)::float8 FROM attempts a WHERE a.pause_ms > 0) AS asked_ms,
    count(*) FILTER (WHERE d.departed_at < d.pause_ends_at) AS departed_within,
    coalesce(sum(d.paused_ms) FILTER (WHERE d.counts), 0)::float8 AS paused_ms
FROM judged d
