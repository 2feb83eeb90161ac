-- purpose: remove documents, link lists and raises of a pruned job
-- params: $1 job id, $2 domain id, $3 most rows of each
-- returns: documents, link_lists, raises (rows removed)
-- index: documents_pkey, link_lists_pkey, priority_updates_pkey
-- rows: 1
WITH documents AS (
    DELETE FROM pacewheel.documents d
    WHERE
        d.domain_id = $2 AND d.job_id = $1 AND d.name = ANY (ARRAY(
            SELECT o.name
            FROM pacewheel.documents o
            WHERE o.domain_id = $2 AND o.job_id = $1
            LIMIT $3
        ))
    RETURNING 1
), link_lists AS (
    DELETE FROM pacewheel.link_lists l
    WHERE
        l.domain_id = $2 AND l.job_id = $1 AND l.id = ANY (ARRAY(
            SELECT o.id
            FROM pacewheel.link_lists o
            WHERE o.domain_id = $2 AND o.job_id = $1
            LIMIT $3
        ))
    RETURNING 1
), raises AS (
    DELETE FROM pacewheel.priority_updates p
    WHERE
        p.domain_id = $2 AND p.task_id = ANY (ARRAY(
            SELECT o.task_id
            FROM pacewheel.priority_updates o
            WHERE o.domain_id = $2 AND o.job_id = $1
            LIMIT $3
        ))
        AND p.job_id = $1
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM documents)::integer AS documents,
    (SELECT count(*) FROM link_lists)::integer AS link_lists,
    (SELECT count(*) FROM raises)::integer AS raises
