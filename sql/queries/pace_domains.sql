-- purpose: set what was learned of a site's pace: Crawl-delay, adaptive delay, circuit, and until when nothing starts
-- params: $1 worker id, $2 domain ids, $3 their epochs, $4 Crawl-delay ms or null, $5 block for ms or null, $6 adaptive delay ms or null (nothing learned; then $7 to $9 don't count), $7 failures, $8 successes, $9 block reason or null, $10 whether the site refused a request
-- returns: nothing
-- index: domains_pkey
-- rows: 0
-- Runs before the settle of the same transaction: domains are locked before jobs. The owner has done the arithmetic:
-- here values are set, so it does no harm to run this again.
WITH held AS MATERIALIZED (
    SELECT d.id, p.*
    FROM pacewheel.domains d
    JOIN unnest(
        $2::bigint[], $3::bigint[], $4::integer[], $5::bigint[], $6::integer[], $7::integer[], $8::integer[],
        $9::text[], $10::boolean[]
    ) AS p (
        domain_id, epoch, robots_delay_ms, block_ms, adaptive_delay_ms, failures, successes, block_reason, refused
    ) ON p.domain_id = d.id AND p.epoch = d.epoch
    WHERE d.owner = $1
    ORDER BY d.id
    FOR NO KEY UPDATE OF d
)
UPDATE pacewheel.domains d
SET
    robots_delay_ms = coalesce(h.robots_delay_ms, d.robots_delay_ms),
    blocked_until = greatest(d.blocked_until, now() + h.block_ms * interval '1 ms'),
    adaptive_delay_ms = coalesce(h.adaptive_delay_ms, d.adaptive_delay_ms),
    failures = coalesce(h.failures, d.failures),
    successes = coalesce(h.successes, d.successes),
    block_reason = CASE WHEN h.adaptive_delay_ms IS NULL THEN d.block_reason ELSE h.block_reason END,
    refused_at = CASE WHEN h.refused THEN now() ELSE d.refused_at END
FROM held h
WHERE d.id = h.id
