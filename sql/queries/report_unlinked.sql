-- purpose: list a job's pages that a sitemap lists and no page links to, and those linked to that no sitemap lists
-- params: $1 domain id, $2 job id, $3 most pages of each
-- returns: is_listed (in a sitemap and not linked to; false: the reverse), pages (how many there are), url, in the order of URLs
-- index: link_lists_pkey, results_by_task, tasks_pkey
-- rows: at most $3 of each
-- Of pages that were fetched with success; a start page needs no link, and a page's link to itself is none. Where no
-- sitemap was read, none is missing in it.
WITH named AS MATERIALIZED (
    SELECT u.id, bool_or(l.name = 'sitemap') AS is_listed, bool_or(l.name <> 'sitemap') AS is_linked
    FROM pacewheel.link_lists l
    CROSS JOIN LATERAL unnest(l.targets) AS u (id)
    WHERE l.domain_id = $1 AND l.job_id = $2
    GROUP BY u.id
), ranked AS (
    SELECT
        n.is_listed, l.target,
        count(*) OVER (PARTITION BY n.is_listed) AS pages,
        row_number() OVER (PARTITION BY n.is_listed ORDER BY l.target) AS nth
    FROM pacewheel.last_results l
    JOIN named n ON n.id = l.task_id AND NOT (n.is_listed AND n.is_linked)
    WHERE
        l.job_id = $2 AND l.kind = 'page' AND l.status = 3
        AND coalesce(l.http_status, 200) NOT IN (301, 302, 303, 307, 308)
        AND l.payload ->> 'source' IS DISTINCT FROM 'start'
        AND (n.is_listed OR EXISTS (SELECT FROM named s WHERE s.is_listed))
)
SELECT r.is_listed, r.pages, r.target AS url
FROM ranked r
WHERE r.nth <= $3
ORDER BY r.is_listed, r.nth
