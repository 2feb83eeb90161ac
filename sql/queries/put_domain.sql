-- purpose: create a domain if it is new, and set its least gap
-- params: $1 domain name, $2 least gap between two requests in ms or null (leave)
-- returns: nothing
-- index: domains_name_key
-- rows: 0
-- A transaction of its own: it locks the gate, and no claim of the process that owns it gets past that.
INSERT INTO pacewheel.domains AS d (name, base_delay_ms)
VALUES ($1, coalesce($2::integer, 0))
ON CONFLICT (name) DO UPDATE SET base_delay_ms = $2::integer
WHERE d.base_delay_ms <> $2::integer
