-- $1 jobs, $2 tasks of each, $3 limit: as many as may run are pending, the others wait to be promoted.
WITH made AS (
    INSERT INTO predecessor.jobs (id, domain, status, concurrency, total_tasks, pending_tasks, waiting_tasks)
    SELECT
        gen_random_uuid()::text, 'site-' || n || '.example', 'running', $3::int, $2::int,
        least($2::int, $3::int), greatest($2::int - $3::int, 0)
    FROM generate_series(1, $1::int) AS n
    RETURNING id
)
INSERT INTO predecessor.tasks (job_id, page_id, path, status, priority_score)
SELECT
    m.id, n, '/catalogue/section-' || n % 97 || '/article-' || n || '.html',
    CASE WHEN n <= $3::int THEN 'pending' ELSE 'waiting' END, n * 7919 % 1000 / 1000.0
FROM made m, generate_series(1, $2::int) AS n
