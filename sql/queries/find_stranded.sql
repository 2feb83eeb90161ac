-- purpose: name the domains that nobody owns and that say all the same that tasks are in flight
-- params: $1 go on behind this domain, $2 most domains
-- returns: id, in_flight (number of tasks)
-- index: domains_pkey
-- rows: at most $2
-- Reads the domains one after another; an index would have to be written by every claim.
SELECT d.id, cardinality(d.in_flight) AS in_flight
FROM pacewheel.domains d
WHERE d.id > $1 AND d.owner IS NULL AND d.in_flight <> '{}'
ORDER BY d.id
LIMIT $2
