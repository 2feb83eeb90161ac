-- purpose: find the pages of a job that link to given ones, and where on the page, for its report
-- params: $1 domain id, $2 job id, $3 ids of the tasks linked to, $4 most pages for each
-- returns: target_id, linkers (how many pages link to it), url of one, position; in the order of URLs
-- index: link_lists_pkey, results_by_task, tasks_pkey
-- rows: at most $4 for each id
-- A page names a key in one list only, so pages are counted once. Of each list only the first pages are looked up.
-- The ids are no relation to join with: without statistics that would be gone through once for each list.
WITH lists AS MATERIALIZED (
    SELECT l.id AS list_id, l.name, u.id AS target_id
    FROM pacewheel.link_lists l
    CROSS JOIN LATERAL unnest(l.targets) AS u (id)
    WHERE l.domain_id = $1 AND l.job_id = $2 AND l.name <> 'sitemap' AND u.id = ANY ($3::bigint[])
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
), ranked AS (
    SELECT
        l.target_id, t.target AS url, l.name AS position,
        sum(u.pages) FILTER (WHERE u.nth = 1) OVER (PARTITION BY l.target_id) AS linkers,
        row_number() OVER (PARTITION BY l.target_id ORDER BY t.target) AS nth
    FROM lists l
    JOIN used u ON u.list_id = l.list_id AND u.nth <= $4
    JOIN pacewheel.tasks t ON t.domain_id = $1 AND t.id = u.task_id
)
SELECT r.target_id, r.linkers::bigint AS linkers, r.url, r.position
FROM ranked r
WHERE r.nth <= $4
ORDER BY r.target_id, r.nth
