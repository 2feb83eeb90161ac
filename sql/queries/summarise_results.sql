-- purpose: sum up the last attempt of each task of a job, for the closing summary
-- params: $1 job id, $2 kind (the payload's) of the tasks to count
-- returns: requests (all attempts of all kinds), pages, ok, bytes, p50_ms, p95_ms, statuses, errors, cache, uncacheable, rechecks, left_out (of all kinds; JSON text, word to count), cold_ms and warm_ms (medians to the first byte, of pages that a recheck met warm), first_at, last_at
-- index: results_by_task, tasks_pkey
-- rows: 1
WITH attempts AS MATERIALIZED (
    SELECT r.*, t.payload ->> 'kind' AS kind, t.payload ->> 'from' AS from_id
    FROM pacewheel.results r
    LEFT JOIN pacewheel.tasks t ON t.domain_id = r.domain_id AND t.id = r.task_id
    WHERE r.job_id = $1
), latest AS MATERIALIZED (
    SELECT DISTINCT ON (a.task_id) a.*
    FROM attempts a
    WHERE a.kind = $2
    ORDER BY a.task_id, a.attempt DESC, a.finished_at DESC
), rechecked AS MATERIALIZED (
    SELECT DISTINCT ON (a.from_id)
        coalesce(a.error, a.cache) AS word,
        (a.detail ->> 'warmed')::boolean AS is_warmed,
        (a.detail #>> '{cold,timings,first_byte}')::float8 AS cold_ms,
        (a.detail #>> '{timings,first_byte}')::float8 AS warm_ms
    FROM attempts a
    WHERE a.kind = 'recheck'
    ORDER BY a.from_id, a.finished_at DESC
), words AS MATERIALIZED (
    SELECT said.about, said.word, count(*) AS n
    FROM latest l
    CROSS JOIN LATERAL (
        VALUES
            ('status', l.http_status::text), ('error', l.error), ('cache', l.cache),
            ('uncacheable', CASE WHEN l.outcome = 3 THEN l.detail ->> 'uncacheable' END)
    ) AS said (about, word)
    WHERE said.word IS NOT NULL
    GROUP BY said.about, said.word
), left_out AS MATERIALIZED (
    -- Any handler may keep what it likes under this name: only numbers by word are summed up.
    SELECT said.key AS word, sum(least(greatest(said.value::numeric, 0), 1e12)::bigint) AS n
    FROM attempts a
    CROSS JOIN LATERAL jsonb_each(
        CASE jsonb_typeof(a.detail -> 'left_out') WHEN 'object' THEN a.detail -> 'left_out' END
    ) AS said
    WHERE a.outcome = 3 AND jsonb_typeof(said.value) = 'number'
    GROUP BY said.key
)
SELECT
    (SELECT count(*) FROM attempts) AS requests,
    count(*) AS pages,
    count(*) FILTER (WHERE l.outcome = 3) AS ok,
    coalesce(sum(l.bytes), 0)::bigint AS bytes,
    coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY l.duration_ms), 0) AS p50_ms,
    coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY l.duration_ms), 0) AS p95_ms,
    (SELECT coalesce(jsonb_object_agg(w.word, w.n) FILTER (WHERE w.about = 'status'), '{}') FROM words w)::text
        AS statuses,
    (SELECT coalesce(jsonb_object_agg(w.word, w.n) FILTER (WHERE w.about = 'error'), '{}') FROM words w)::text
        AS errors,
    (SELECT coalesce(jsonb_object_agg(w.word, w.n) FILTER (WHERE w.about = 'cache'), '{}') FROM words w)::text
        AS cache,
    (SELECT coalesce(jsonb_object_agg(w.word, w.n) FILTER (WHERE w.about = 'uncacheable'), '{}') FROM words w)::text
        AS uncacheable,
    (
        SELECT coalesce(jsonb_object_agg(c.word, c.n), '{}')
        FROM (SELECT r.word, count(*) AS n FROM rechecked r WHERE r.word IS NOT NULL GROUP BY r.word) c
    )::text AS rechecks,
    (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY r.cold_ms) FROM rechecked r WHERE r.is_warmed) AS cold_ms,
    (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY r.warm_ms) FROM rechecked r WHERE r.is_warmed) AS warm_ms,
    (SELECT coalesce(jsonb_object_agg(o.word, o.n), '{}') FROM left_out o)::text AS left_out,
    (SELECT min(a.finished_at) FROM attempts a) AS first_at,
    (SELECT max(a.finished_at) FROM attempts a) AS last_at
FROM latest l
