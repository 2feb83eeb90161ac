-- purpose: become the owner of domains that find_leasable named, each under a new epoch
-- params: $1 worker id, $2 domain ids, $3 their owners as seen (null: none), $4 their epochs as seen
-- returns: id, name, epoch, in_flight (what a dead owner left running), wake_in_ms (next waiting task), and what was learned of its pace: adaptive_delay_ms, failures, successes, is_open (the circuit)
-- index: workers_pkey, domains_pkey, tasks_wake
-- rows: at most those asked for
-- A domain whose owner or epoch changed since it was seen is somebody's by now; death is for ever,
-- so the owner that was seen dead needs no second look. A worker that was itself declared dead, or
-- is about to be, gets nothing. When a dead owner's last request left, nobody knows: at the latest
-- now, so the next one comes a whole gap later.
WITH me AS MATERIALIZED (
    SELECT w.id
    FROM pacewheel.workers w
    WHERE w.id = $1 AND w.dead_at IS NULL AND w.lease_until > clock_timestamp()
    FOR SHARE
), free AS MATERIALIZED (
    SELECT d.id
    FROM pacewheel.domains d
    JOIN unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS s (id, owner, epoch) ON s.id = d.id
    WHERE d.owner IS NOT DISTINCT FROM s.owner AND d.epoch = s.epoch AND (SELECT count(*) FROM me) = 1
    ORDER BY d.id
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE pacewheel.domains d
SET
    owner = $1,
    epoch = d.epoch + 1,
    next_slot_at = CASE
        WHEN d.owner IS NULL THEN d.next_slot_at
        ELSE greatest(d.next_slot_at, clock_timestamp() + d.gap_ms * interval '1 ms')
    END
WHERE d.id = ANY (ARRAY(SELECT f.id FROM free f))
RETURNING
    d.id, d.name, d.epoch, d.in_flight,
    (
        SELECT extract(epoch FROM min(t.ready_at) - clock_timestamp())::float8 * 1000
        FROM pacewheel.tasks t
        WHERE t.domain_id = d.id AND t.status = 1
    ) AS wake_in_ms,
    d.adaptive_delay_ms, d.failures, d.successes, d.block_reason IS NOT DISTINCT FROM 'circuit_open' AS is_open
