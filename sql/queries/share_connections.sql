-- purpose: say how many connections a worker may open now, so that all live workers together leave the server its reserve
-- params: $1 worker id, $2 connections it wants, $3 connections it may have in use, $4 connections to be left for administration, $5 least a process can work with
-- returns: max_connections, superusers (connections the server keeps for them), processes (live workers), fits (the least of all live workers up to this one), share (of each), granted (what it may open), connections (what its row says now: granted, or what is in use until that is less)
-- index: workers_alive, workers_pkey
-- rows: 1
SELECT
    s.max_connections, s.superusers, s.processes, s.fits, s.share, s.granted, s.connections
FROM pacewheel.share_connections($1::bigint, $2::integer, $3::integer, $4::integer, $5::integer) AS s
