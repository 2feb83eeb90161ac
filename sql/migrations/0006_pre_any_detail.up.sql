-- What any handler keeps in a result or a payload under the crawler's names is read if it is of the crawler's type:
-- a cast of anything else ended every report of its job.
CREATE OR REPLACE VIEW pacewheel.last_results AS
SELECT
    r.job_id,
    r.domain_id,
    r.task_id,
    t.target,
    coalesce(t.key, t.target) AS key,
    t.payload,
    coalesce(t.payload ->> 'kind', 'page') AS kind,
    t.status,
    r.attempt,
    r.outcome,
    r.error,
    r.http_status,
    r.bytes,
    r.cache,
    r.detail,
    coalesce(
        jsonb_path_query_first(r.detail, '$.timings.total ? (@ >= 0 && @ < 1e12)')::float8, r.duration_ms
    ) AS answer_ms,
    r.link_lists,
    r.finished_at
FROM pacewheel.results r
JOIN pacewheel.tasks t
    ON t.domain_id = r.domain_id AND t.id = r.task_id AND t.job_id = r.job_id AND t.attempt = r.attempt;

CREATE OR REPLACE VIEW pacewheel.page_results AS
SELECT
    l.job_id,
    l.task_id,
    l.target,
    l.status,
    l.error,
    l.http_status,
    l.bytes,
    l.answer_ms,
    c.cache,
    CASE WHEN c.cache <> 'unknown' THEN c.cache IN ('hit', 'revalidated') END AS is_warm
FROM pacewheel.last_results l
LEFT JOIN (
    SELECT DISTINCT ON (a.job_id, a.payload ->> 'from')
        a.job_id,
        jsonb_path_query_first(
            a.payload, '$.from ? (@ >= -9223372036854775808 && @ <= 9223372036854775807)'
        )::bigint AS page_id,
        a.cache
    FROM pacewheel.last_results a
    WHERE a.kind = 'recheck' AND a.status = 3
    ORDER BY a.job_id, a.payload ->> 'from', a.finished_at DESC
) r ON r.job_id = l.job_id AND r.page_id = l.task_id
CROSS JOIN LATERAL (SELECT coalesce(r.cache, l.cache) AS cache) c
WHERE l.kind = 'page';
