-- purpose: set what a site has said of its pace: Crawl-delay, and Retry-After
-- params: $1 worker id, $2 domain ids, $3 their epochs, $4 Crawl-delay ms or null, $5 block for ms or null
-- returns: nothing
-- index: domains_pkey
-- rows: 0
-- Runs before the settle of the same transaction: domains are locked before jobs.
WITH held AS MATERIALIZED (
    SELECT d.id, p.robots_delay_ms, p.block_ms
    FROM pacewheel.domains d
    JOIN unnest($2::bigint[], $3::bigint[], $4::integer[], $5::bigint[]) AS p (id, epoch, robots_delay_ms, block_ms)
        ON p.id = d.id AND p.epoch = d.epoch
    WHERE d.owner = $1
    ORDER BY d.id
    FOR NO KEY UPDATE OF d
)
UPDATE pacewheel.domains d
SET
    robots_delay_ms = coalesce(h.robots_delay_ms, d.robots_delay_ms),
    blocked_until = greatest(d.blocked_until, now() + h.block_ms * interval '1 ms')
FROM held h
WHERE d.id = h.id
