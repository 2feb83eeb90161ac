-- purpose: list a job's pages that redirect, loops first, for its report
-- params: $1 job id, $2 most pages
-- returns: total and loops (how many there are), url, http_status, redirects_to (null: no usable address), hops (this one included, as it was come by), is_loop, leaves_site
-- index: results_by_task, tasks_pkey, link_lists_pkey
-- rows: at most $2
-- A page is in a loop when following the redirects from it leads back within 20 hops, or when the chain that was
-- followed was given up.
WITH RECURSIVE redirects AS MATERIALIZED (
    SELECT l.*
    FROM pacewheel.last_results l
    WHERE
        l.job_id = $1 AND l.kind = 'page' AND l.http_status IN (301, 302, 303, 307, 308)
        AND (l.status = 3 OR l.error = 'redirect_loop')
), named AS MATERIALIZED (
    -- Before the join: without statistics all lists of the job would be gone through for each redirect.
    SELECT r.domain_id, r.job_id, r.task_id, x.list_id
    FROM redirects r
    CROSS JOIN LATERAL unnest(r.link_lists) AS x (list_id)
), hops AS MATERIALIZED (
    SELECT n.task_id, t.id AS target_id
    FROM named n
    JOIN pacewheel.link_lists k
        ON k.domain_id = n.domain_id AND k.job_id = n.job_id AND k.id = n.list_id AND k.name = 'redirect'
    CROSS JOIN LATERAL unnest(k.targets) AS t (id)
), walks AS (
    SELECT h.task_id AS start_id, h.target_id AS at_id, 1 AS n
    FROM hops h
    UNION ALL
    SELECT w.start_id, h.target_id, w.n + 1
    FROM walks w
    JOIN hops h ON h.task_id = w.at_id
    WHERE w.at_id <> w.start_id AND w.n < 20
), judged AS (
    SELECT
        r.target, r.http_status, r.detail, r.payload,
        r.status = 4 OR r.task_id IN (SELECT w.start_id FROM walks w WHERE w.at_id = w.start_id) AS is_loop
    FROM redirects r
)
SELECT
    count(*) OVER () AS total,
    count(*) FILTER (WHERE j.is_loop) OVER () AS loops,
    j.target AS url, j.http_status, j.detail ->> 'redirect_to' AS redirects_to,
    CASE jsonb_typeof(j.payload -> 'via') WHEN 'array' THEN jsonb_array_length(j.payload -> 'via') ELSE 0 END + 1
        AS hops,
    j.is_loop,
    coalesce(j.detail -> 'other_site' = 'true', false) AS leaves_site
FROM judged j
ORDER BY j.is_loop DESC, j.target
LIMIT $2
