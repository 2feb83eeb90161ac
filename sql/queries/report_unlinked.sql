-- purpose: list a job's pages that a sitemap lists and no page links to, or the reverse, for its report
-- params: $1 domain id, $2 job id, $3 true: listed and not linked to, false: linked to and not listed, $4 most pages
-- returns: pages (how many there are), url, in the order of URLs
-- index: link_lists_pkey, results_by_task, tasks_pkey
-- rows: at most $4
-- Of pages that were fetched with success; a start page needs no link, and a page's link to itself is none. Where no
-- sitemap was read, none is missing in it.
WITH named AS MATERIALIZED (
    SELECT DISTINCT l.name = 'sitemap' AS by_sitemap, u.id
    FROM pacewheel.link_lists l
    CROSS JOIN LATERAL unnest(l.targets) AS u (id)
    WHERE l.domain_id = $1 AND l.job_id = $2
), one_way AS MATERIALIZED (
    SELECT n.id
    FROM named n
    GROUP BY n.id
    HAVING bool_and(n.by_sitemap = $3::boolean)
)
SELECT count(*) OVER () AS pages, l.target AS url
FROM pacewheel.last_results l
JOIN one_way o ON o.id = l.task_id
WHERE
    l.job_id = $2 AND l.kind = 'page' AND l.status = 3 AND coalesce(l.http_status, 200) < 300
    AND l.payload ->> 'source' IS DISTINCT FROM 'start'
    AND ($3::boolean OR EXISTS (SELECT FROM named n WHERE n.by_sitemap))
ORDER BY l.target
LIMIT $4
