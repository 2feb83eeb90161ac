-- purpose: set the least gap that users ask of a domain, and let a shorter one count from now
-- params: $1 domain name, $2 least gap between two requests in ms
-- returns: id, gap_ms (in force now: robots.txt or 429 answers may ask for more); no row for an unknown domain
-- index: domains_name_key
-- rows: 0 or 1
-- The next slot is brought forward to one gap from now at the earliest, so no request comes too early; a longer gap
-- counts from the next claim on, as its owner learns of it there.
UPDATE pacewheel.domains d
SET
    base_delay_ms = $2::integer,
    next_slot_at = least(
        d.next_slot_at,
        clock_timestamp() + greatest($2::integer, d.robots_delay_ms, d.adaptive_delay_ms) * interval '1 ms'
    )
WHERE d.name = $1
RETURNING d.id, d.gap_ms
