-- purpose: name domains with work for these handlers that nobody owns, whose owner was declared dead, or that the caller owns unawares
-- params: $1 handlers, $2 horizon ms (waiting tasks due within it count as work), $3 most domains, $4 worker id, $5 domains it holds or passes over
-- returns: id, owner (null or the dead one), epoch, oldest first; a plain read: lease_domains checks again under lock
-- index: jobs_live, domains_pkey, tasks_wake
-- rows: at most $3
SELECT d.id, d.owner, d.epoch
FROM pacewheel.domains d
WHERE
    d.id = ANY (ARRAY(
        SELECT j.domain_id
        FROM pacewheel.jobs j
        WHERE
            j.status < 2 AND j.handler = ANY ($1::text[]) AND (
                j.pending > 0 OR (
                    j.waiting > 0 AND EXISTS (
                        SELECT
                        FROM pacewheel.tasks t
                        WHERE
                            t.domain_id = j.domain_id AND t.status = 1
                            AND t.ready_at < clock_timestamp() + $2::bigint * interval '1 ms'
                    )
                )
            )
    ))
    AND d.id NOT IN (SELECT h.id FROM unnest($5::bigint[]) AS h (id))
    AND (
        d.owner IS NULL
        -- The answer to an earlier lease or release was lost.
        OR d.owner = $4
        OR NOT EXISTS (SELECT FROM pacewheel.workers w WHERE w.id = d.owner AND w.dead_at IS NULL)
    )
ORDER BY d.id
LIMIT $3
