-- purpose: find the pages of a job that link to given ones, and where on the page, for its report
-- params: $1 domain id, $2 job id, $3 ids of the tasks linked to, $4 most pages for each
-- returns: target_id, linkers (how many pages link to it), url of one, position; in the order of URLs
-- index: link_lists_pkey, results_by_task, tasks_pkey
-- rows: at most $4 for each id
-- A page names a key in one list only, so pages are counted once. Of each list only the first pages are looked up.
WITH wanted AS MATERIALIZED (
    SELECT w.id
    FROM unnest($3::bigint[]) AS w (id)
), lists AS MATERIALIZED (
    SELECT l.id AS list_id, l.name, w.id AS target_id
    FROM pacewheel.link_lists l
    CROSS JOIN LATERAL unnest(l.targets) AS u (id)
    JOIN wanted w ON w.id = u.id
    WHERE l.domain_id = $1 AND l.job_id = $2 AND l.name <> 'sitemap'
), named AS MATERIALIZED (
    SELECT DISTINCT l.list_id
    FROM lists l
), used AS MATERIALIZED (
    SELECT
        u.list_id, r.task_id,
        row_number() OVER (PARTITION BY u.list_id ORDER BY r.task_id) AS nth,
        count(*) OVER (PARTITION BY u.list_id) AS pages
    FROM pacewheel.results r
    CROSS JOIN LATERAL unnest(r.link_lists) AS u (list_id)
    JOIN named n ON n.list_id = u.list_id
    WHERE r.job_id = $2
), totals AS MATERIALIZED (
    SELECT l.target_id, sum(u.pages)::bigint AS linkers
    FROM lists l
    JOIN used u ON u.list_id = l.list_id AND u.nth = 1
    GROUP BY l.target_id
), ranked AS (
    SELECT
        l.target_id, t.target AS url, l.name AS position,
        row_number() OVER (PARTITION BY l.target_id ORDER BY t.target) AS nth
    FROM lists l
    JOIN used u ON u.list_id = l.list_id AND u.nth <= $4
    JOIN pacewheel.tasks t ON t.domain_id = $1 AND t.id = u.task_id
)
SELECT r.target_id, t.linkers, r.url, r.position
FROM ranked r
JOIN totals t ON t.target_id = r.target_id
WHERE r.nth <= $4
ORDER BY r.target_id, r.nth
