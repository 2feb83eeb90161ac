-- purpose: send the hints that a process held back to send them together
-- params: $1 payloads, 8,000 bytes each at most
-- returns: nothing of use, a row each
-- index: none
-- rows: as many as there are payloads
SELECT pg_notify('pacewheel', p.payload)
FROM unnest($1::text[]) AS p (payload)
