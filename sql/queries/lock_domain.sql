-- purpose: lock a domain's row, so that the next statements of the transaction see what others have committed to it
-- params: $1 domain name
-- returns: id; no row for an unknown domain
-- index: domains_name_key
-- rows: 0 or 1
SELECT d.id FROM pacewheel.domains d WHERE d.name = $1 FOR NO KEY UPDATE
