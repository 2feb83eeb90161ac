-- purpose: enter this process among the workers, its lease running
-- params: $1 host, $2 pid, $3 version, $4 capacity (slots), $5 lease ms, $6 handlers
-- returns: id
-- index: none
-- rows: 1
INSERT INTO pacewheel.workers (host, pid, version, capacity, lease_until, handlers)
VALUES ($1, $2, $3, $4, clock_timestamp() + $5::integer * interval '1 ms', $6::text[])
RETURNING id
