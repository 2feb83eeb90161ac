-- purpose: leave a job the pages of the job before it whose cached copies expire, as a document of its own
-- params: $1 job id, $2 id of the job before, $3 name of the document, $4 most results read, $5 most pages
-- returns: nothing
-- index: jobs_pkey, results_by_task, tasks_pkey
-- rows: 0
-- The body is a JSON array of [target, depth, priority], soonest first: priorities fall evenly from below 1 to above 0,
-- for what counts is the order. A page's last word counts, its own or that of a recheck. The limit of the results
-- bounds the transaction that fires, whatever the job before was.
INSERT INTO pacewheel.documents (domain_id, job_id, name, body)
SELECT j.domain_id, j.id, $3, e.body
FROM pacewheel.jobs j
CROSS JOIN (
    SELECT jsonb_agg(jsonb_build_array(p.target, p.depth, p.priority) ORDER BY p.expires_at, p.target)::text AS body
    FROM (
        SELECT
            l.target, l.depth, l.expires_at,
            round(1 - rank() OVER (ORDER BY l.expires_at) / (count(*) OVER () + 1)::numeric, 6) AS priority
        FROM (
            SELECT
                t.target,
                coalesce(max(jsonb_path_query_first(t.payload, '$.depth ? (@ >= 0 && @ < 1e9)')::integer), 0) AS depth,
                (
                    array_agg(r.finished_at + r.ttl_s * interval '1 s' ORDER BY r.finished_at DESC)
                    FILTER (WHERE r.ttl_s IS NOT NULL)
                )[1] AS expires_at
            FROM (
                SELECT
                    a.domain_id, a.task_id, a.finished_at, a.outcome,
                    -- A header may claim any age: within ten years of now it orders, beyond it would overflow.
                    CASE WHEN jsonb_typeof(a.detail -> 'ttl_s') = 'number'
                        THEN least(greatest((a.detail ->> 'ttl_s')::float8, -3e8), 3e8) END AS ttl_s
                FROM pacewheel.results a
                WHERE a.job_id = $2
                LIMIT $4
            ) r
            JOIN pacewheel.tasks t ON t.domain_id = r.domain_id AND t.id = r.task_id
            WHERE r.outcome = 3 AND t.payload ->> 'kind' IN ('page', 'recheck')
            GROUP BY t.target
            HAVING count(r.ttl_s) > 0
            ORDER BY expires_at
            LIMIT $5
        ) l
    ) p
) e
WHERE j.id = $1 AND e.body IS NOT NULL
