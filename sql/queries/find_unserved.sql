-- purpose: name domains of the caller in which work waits for a handler that it lacks and another living worker has
-- params: $1 domain ids, $2 the caller's handlers
-- returns: domain_id
-- index: jobs_live, workers_alive
-- rows: at most those asked for
-- A plain read: what it names is given back sooner, so that its jobs have their turn; nothing is decided here for good.
SELECT a.domain_id
FROM unnest($1::bigint[]) AS a (domain_id)
WHERE EXISTS (
    SELECT
    FROM pacewheel.jobs j
    WHERE
        j.domain_id = a.domain_id AND j.status < 2 AND j.pending > 0 AND j.handler <> ALL ($2::text[])
        AND EXISTS (
            SELECT
            FROM pacewheel.workers w
            WHERE w.dead_at IS NULL AND w.lease_until > clock_timestamp() AND j.handler = ANY (w.handlers)
        )
)
