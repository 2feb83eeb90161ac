-- purpose: sum up a job's attempts and the last result of each of its pages, for its report
-- params: $1 job id
-- returns: attempts, requests (attempts that left), retries, bytes (all attempts), pages, ok, broken, skipped, disallowed (tasks of all kinds), warm and judged (pages that a cache had, of which one said anything), p50_ms, p95_ms, p99_ms of the pages' answers; cold_answers, cold_p50_ms, cold_p95_ms and warm_ likewise over all answers of a cache; kinds, statuses, errors, cache, left_out, robots_lines (JSON text, word to count)
-- index: results_by_task, tasks_pkey
-- rows: 1
-- Any handler may keep what it likes in a detail: only numbers by word are summed up, each 10^12 at most.
WITH attempts AS MATERIALIZED (
    SELECT
        r.task_id, r.attempt, r.bytes,
        -- A failure's time is counted from its departure, and there is none without.
        r.departed_at IS NOT NULL OR r.http_status IS NOT NULL
        OR coalesce(jsonb_typeof(r.detail #> '{timings,total}') = 'number', false) AS has_left
    FROM pacewheel.results r
    WHERE r.job_id = $1
), latest AS MATERIALIZED (
    SELECT l.*
    FROM pacewheel.last_results l
    WHERE l.job_id = $1
), pages AS MATERIALIZED (
    SELECT p.*
    FROM pacewheel.page_results p
    WHERE p.job_id = $1
), words AS MATERIALIZED (
    SELECT s.about, s.word, sum(s.n) AS n
    FROM (
        SELECT 'status' AS about, p.http_status::text AS word, 1 AS n FROM pages p
        UNION ALL
        SELECT 'error', p.error, 1 FROM pages p WHERE p.status <> 3
        UNION ALL
        SELECT 'cache', p.cache, 1 FROM pages p
        UNION ALL
        SELECT 'kind', l.kind, 1 FROM latest l
        UNION ALL
        SELECT 'left_out', o.key, least(greatest(o.value::numeric, 0), 1e12)::bigint
        FROM latest l, jsonb_each(
            CASE jsonb_typeof(l.detail -> 'left_out') WHEN 'object' THEN l.detail -> 'left_out' END
        ) o
        WHERE jsonb_typeof(o.value) = 'number'
        UNION ALL
        SELECT 'robots_line', o.key, least(greatest(o.value::numeric, 0), 1e12)::bigint
        FROM latest l, jsonb_each(
            CASE jsonb_typeof(l.detail -> 'robots_lines') WHEN 'object' THEN l.detail -> 'robots_lines' END
        ) o
        WHERE jsonb_typeof(o.value) = 'number'
    ) s
    WHERE s.word IS NOT NULL
    GROUP BY s.about, s.word
), worded AS (
    SELECT w.about, jsonb_object_agg(w.word, w.n) AS counts
    FROM words w
    GROUP BY w.about
), timed AS (
    SELECT
        count(*) FILTER (WHERE l.is_cold) AS cold_answers,
        percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY l.answer_ms) FILTER (WHERE l.is_cold) AS cold_ms,
        count(*) FILTER (WHERE NOT l.is_cold) AS warm_answers,
        percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY l.answer_ms) FILTER (WHERE NOT l.is_cold) AS warm_ms
    FROM (
        SELECT
            l.answer_ms,
            CASE
                WHEN l.cache IN ('miss', 'expired') THEN true
                WHEN l.cache IN ('hit', 'revalidated') THEN false
            END AS is_cold
        FROM latest l
        WHERE l.kind IN ('page', 'recheck') AND l.status = 3
    ) l
)
SELECT
    a.*, p.*, t.cold_answers, t.cold_ms[1] AS cold_p50_ms, t.cold_ms[2] AS cold_p95_ms,
    t.warm_answers, t.warm_ms[1] AS warm_p50_ms, t.warm_ms[2] AS warm_p95_ms,
    coalesce((SELECT w.counts FROM worded w WHERE w.about = 'kind'), '{}')::text AS kinds,
    coalesce((SELECT w.counts FROM worded w WHERE w.about = 'status'), '{}')::text AS statuses,
    coalesce((SELECT w.counts FROM worded w WHERE w.about = 'error'), '{}')::text AS errors,
    coalesce((SELECT w.counts FROM worded w WHERE w.about = 'cache'), '{}')::text AS cache,
    coalesce((SELECT w.counts FROM worded w WHERE w.about = 'left_out'), '{}')::text AS left_out,
    coalesce((SELECT w.counts FROM worded w WHERE w.about = 'robots_line'), '{}')::text AS robots_lines
FROM (
    SELECT
        count(*) AS attempts,
        count(*) FILTER (WHERE a.has_left) AS requests,
        count(*) FILTER (WHERE a.attempt > 1) AS retries,
        coalesce(sum(a.bytes), 0)::bigint AS bytes
    FROM attempts a
) a, (
    SELECT
        count(*) AS pages,
        count(*) FILTER (WHERE p.status = 3 AND coalesce(p.http_status, 200) NOT IN (301, 302, 303, 307, 308)) AS ok,
        count(*) FILTER (WHERE p.status = 4 AND p.error IS DISTINCT FROM 'redirect_loop') AS broken,
        count(*) FILTER (WHERE p.status = 5) AS skipped,
        (SELECT count(*) FROM latest l WHERE l.status = 5 AND l.error = 'robots') AS disallowed,
        count(*) FILTER (WHERE p.is_warm) AS warm,
        count(p.is_warm) AS judged,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY p.answer_ms) FILTER (WHERE p.http_status IS NOT NULL) AS p50_ms,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY p.answer_ms) FILTER (WHERE p.http_status IS NOT NULL) AS p95_ms,
        percentile_cont(0.99) WITHIN GROUP (ORDER BY p.answer_ms) FILTER (WHERE p.http_status IS NOT NULL) AS p99_ms
    FROM pages p
) p, timed t
