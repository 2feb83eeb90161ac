-- purpose: remove domains that have no job, no schedule and no owner, and have done nothing for so long
-- params: $1 age in ms, $2 go on behind this domain, $3 most domains to look at
-- returns: last_id of the domains looked at (null: there are no more), pruned
-- index: domains_pkey, jobs_live, jobs_final, pruned_jobs_uncleared
-- rows: 1
-- A job that is created meanwhile refers to its domain: the foreign key refuses then, and the next run looks again.
-- It has no index of its own, so few domains at a time.
-- `SELECT true ... LIMIT 1` instead of EXISTS: that might be answered by a join with the whole table.
WITH seen AS MATERIALIZED (
    SELECT d.id
    FROM pacewheel.domains d
    WHERE d.id > $2
    ORDER BY d.id
    LIMIT $3
), unused AS MATERIALIZED (
    SELECT d.id
    FROM pacewheel.domains d
    WHERE
        d.id = ANY (ARRAY(SELECT s.id FROM seen s))
        AND d.created_at < now() - $1::bigint * interval '1 ms'
        AND d.claimed_at < now() - $1::bigint * interval '1 ms'
        AND d.blocked_until < now()
        AND (SELECT true FROM pacewheel.workers w WHERE w.id = d.owner AND w.dead_at IS NULL LIMIT 1) IS NULL
        AND (SELECT true FROM pacewheel.jobs j WHERE j.domain_id = d.id AND j.status < 3 LIMIT 1) IS NULL
        AND (SELECT true FROM pacewheel.jobs j WHERE j.domain_id = d.id AND j.status >= 3 LIMIT 1) IS NULL
        AND (
            SELECT true FROM pacewheel.pruned_jobs p WHERE p.domain_id = d.id AND p.cleared_at IS NULL LIMIT 1
        ) IS NULL
        AND NOT EXISTS (SELECT FROM pacewheel.schedules c WHERE c.domain = d.name)
    ORDER BY d.id
    FOR UPDATE OF d SKIP LOCKED
), pruned AS (
    DELETE FROM pacewheel.domains d
    WHERE d.id = ANY (ARRAY(SELECT u.id FROM unused u))
    RETURNING d.id
)
SELECT
    (SELECT max(s.id) FROM seen s) AS last_id,
    (SELECT count(*) FROM pruned)::integer AS pruned
