-- Ids are hashes of job and key again, wherever the key is known; a link to what never was a task keeps its id.
LOCK TABLE pacewheel.domains, pacewheel.jobs, pacewheel.tasks, pacewheel.results IN ACCESS EXCLUSIVE MODE;
DROP FUNCTION pacewheel.task_id;
DROP FUNCTION pacewheel.first_task_id;
DROP FUNCTION pacewheel.last_task_id;
ALTER TABLE pacewheel.tasks DROP CONSTRAINT tasks_id_check;

CREATE TEMPORARY TABLE hashed ON COMMIT DROP AS
SELECT t.domain_id, t.job_id, t.id, hashtextextended(coalesce(t.key, t.target), t.job_id) AS old_id
FROM pacewheel.tasks t;
CREATE INDEX ON hashed (domain_id, id);
ANALYZE hashed;

UPDATE pacewheel.domains d
SET in_flight = ARRAY(
    SELECT h.old_id FROM unnest(d.in_flight) AS f (id) JOIN hashed h ON h.domain_id = d.id AND h.id = f.id
)
WHERE d.in_flight <> '{}';

UPDATE pacewheel.results r SET task_id = h.old_id FROM hashed h WHERE r.domain_id = h.domain_id AND r.task_id = h.id;

UPDATE pacewheel.priority_updates p
SET task_id = h.old_id
FROM hashed h
WHERE p.domain_id = h.domain_id AND p.task_id = h.id;

UPDATE pacewheel.link_lists l
SET targets = ARRAY(
    SELECT coalesce(h.old_id, k.id)
    FROM unnest(l.targets) WITH ORDINALITY AS k (id, position)
    LEFT JOIN hashed h ON h.domain_id = l.domain_id AND h.id = k.id
    ORDER BY k.position
);

UPDATE pacewheel.tasks t SET id = h.old_id FROM hashed h WHERE t.domain_id = h.domain_id AND t.id = h.id;

ALTER TABLE pacewheel.pruned_jobs ADD COLUMN results_to bigint NOT NULL DEFAULT -9223372036854775808;
UPDATE pacewheel.pruned_jobs p SET tasks_to = DEFAULT WHERE p.cleared_at IS NULL;
