-- purpose: take from domains that nobody owns what they say is in flight: it is pending
-- params: $1 domain ids
-- returns: cleared (tasks)
-- index: domains_pkey
-- rows: 1
WITH locked AS MATERIALIZED (
    SELECT d.id, cardinality(d.in_flight) AS in_flight
    FROM pacewheel.domains d
    WHERE d.id = ANY ($1::bigint[]) AND d.owner IS NULL AND d.in_flight <> '{}'
    ORDER BY d.id
    FOR NO KEY UPDATE
), cleared AS (
    UPDATE pacewheel.domains d
    SET in_flight = '{}'
    WHERE d.id = ANY (ARRAY(SELECT l.id FROM locked l))
)
SELECT coalesce(sum(l.in_flight), 0)::integer AS cleared FROM locked l
