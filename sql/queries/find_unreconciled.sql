-- purpose: name jobs whose counters are to be compared: they have changed since the last time, or should have ended
-- params: $1 worker id, $2 least ms between two comparisons of a live job, $3 go on behind this domain, $4 most domains
-- returns: id, domain_id, total; all due jobs of each domain, by domain
-- index: jobs_live, jobs_unreconciled
-- rows: the due jobs of $4 domains
-- Each process compares the domains it owns, and those that no living process owns. A live job is due when a task of it
-- was settled since; what only grew is compared when it gets on, or ends. A final one is due once, a minute after its
-- end: `reconciled_at` lies a minute before the comparison, the longest that a transaction takes.
WITH due AS MATERIALIZED (
    SELECT j.id, j.domain_id, j.total
    FROM pacewheel.jobs j
    WHERE
        j.status < 3 AND j.domain_id > $3 AND (
            j.reconciled_at IS NULL
            OR (j.pending + j.waiting = 0 AND NOT j.discovery_open)
            OR (
                j.last_progress_at > j.reconciled_at
                AND j.reconciled_at < now() - interval '1 minute' - $2::bigint * interval '1 ms'
            )
        )
    UNION ALL
    SELECT j.id, j.domain_id, j.total
    FROM pacewheel.jobs j
    WHERE
        j.status >= 3 AND (j.reconciled_at IS NULL OR j.reconciled_at < j.finished_at) AND j.domain_id > $3
        AND j.finished_at < now() - interval '1 minute'
), mine AS MATERIALIZED (
    SELECT d.id
    FROM pacewheel.domains d
    WHERE
        d.id = ANY (ARRAY(SELECT u.domain_id FROM due u)) AND (
            d.owner = $1 OR d.owner IS NULL
            OR NOT EXISTS (SELECT FROM pacewheel.workers w WHERE w.id = d.owner AND w.dead_at IS NULL)
        )
    ORDER BY d.id
    LIMIT $4
)
SELECT u.id, u.domain_id, u.total
FROM mine m
JOIN due u ON u.domain_id = m.id
ORDER BY u.domain_id, u.id
