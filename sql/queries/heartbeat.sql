-- purpose: renew the lease of a worker, and so of all its domains; see how the work is shared
-- params: $1 worker id, $2 lease ms, $3 domains it works on
-- returns: alive (workers with a running lease that can do some of the same work), expired (workers to be declared dead), active (domains with live tasks for this worker), missing (domains that others lack to an equal share, rounded down), ahead (workers with more than that, before this one in the order of ids), processes (workers not dead, this one among them); no row once declared dead
-- index: workers_pkey, workers_alive, jobs_live
-- rows: 0 or 1
WITH renewed AS (
    UPDATE pacewheel.workers w
    SET lease_until = clock_timestamp() + $2::integer * interval '1 ms', held = $3::integer
    WHERE w.id = $1 AND w.dead_at IS NULL
    RETURNING w.id, w.handlers
), others AS MATERIALIZED (
    SELECT w.id, w.lease_until > clock_timestamp() AS alive, w.handlers && r.handlers AS alike, w.held
    FROM pacewheel.workers w, renewed r
    WHERE w.dead_at IS NULL AND w.id <> $1
), shared AS MATERIALIZED (
    SELECT
        (SELECT count(*) FROM others o WHERE o.alive AND o.alike)::integer + 1 AS alive,
        (
            SELECT count(DISTINCT j.domain_id)
            FROM pacewheel.jobs j, renewed r
            WHERE j.status < 2 AND j.pending + j.waiting > 0 AND j.handler = ANY (r.handlers)
        )::integer AS active
)
SELECT
    s.alive,
    (SELECT count(*) FROM others o WHERE NOT o.alive)::integer AS expired,
    s.active,
    (
        SELECT coalesce(sum(s.active / s.alive - o.held), 0)
        FROM others o
        WHERE o.alive AND o.alike AND o.held < s.active / s.alive
    )::integer AS missing,
    (
        SELECT count(*) FROM others o WHERE o.alive AND o.alike AND o.held > s.active / s.alive AND o.id < $1
    )::integer AS ahead,
    (SELECT count(*) FROM others o)::integer + 1 AS processes
FROM renewed r, shared s
