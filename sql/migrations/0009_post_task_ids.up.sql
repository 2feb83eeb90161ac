-- A task's id carries its job: the lowest 16 bits of the job's number, then 48 bits of its key's hash, which was all
-- of it before. So the tasks of a job lie side by side in tasks_pkey, wherever they are looked up, added or removed,
-- and are found without an index of their own; jobs a multiple of 65,536 apart share a range. Two keys of a job meet in
-- one id once in 2^48: the second one goes under the next probe, 0 to 15.
CREATE FUNCTION pacewheel.task_id(job_id bigint, key text, probe bigint DEFAULT 0) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
'SELECT (job_id << 48) | (hashtextextended(key, job_id # (probe << 48)) & 281474976710655)';

-- The least and the greatest id that a task of a job can have.
CREATE FUNCTION pacewheel.first_task_id(job_id bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT job_id << 48';
CREATE FUNCTION pacewheel.last_task_id(job_id bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT (job_id << 48) | 281474976710655';

-- Every id is written anew, in all that names it. No process of an older version should run meanwhile or after it: the
-- constraint refuses its tasks, and what it has in flight is run once more.
LOCK TABLE pacewheel.domains, pacewheel.jobs, pacewheel.tasks, pacewheel.results IN ACCESS EXCLUSIVE MODE;

-- Of two tasks of a job with the same 48 bits the second goes where enqueueing would put it: under the next probe.
CREATE TEMPORARY TABLE moved ON COMMIT DROP AS
SELECT
    t.domain_id, t.job_id, t.id AS old_id,
    pacewheel.task_id(t.job_id, t.key, 1) AS id
FROM (
    SELECT
        t.domain_id, t.job_id, t.id, coalesce(t.key, t.target) AS key,
        row_number() OVER (PARTITION BY t.job_id, t.id & 281474976710655 ORDER BY t.created_at, t.id) AS nth
    FROM pacewheel.tasks t
) t
WHERE t.nth > 1;

UPDATE pacewheel.domains d
SET in_flight = ARRAY(
    SELECT coalesce(m.id, (t.job_id << 48) | (t.id & 281474976710655))
    FROM unnest(d.in_flight) AS f (id)
    JOIN pacewheel.tasks t ON t.domain_id = d.id AND t.id = f.id
    LEFT JOIN moved m ON m.domain_id = t.domain_id AND m.old_id = t.id
)
WHERE d.in_flight <> '{}';

UPDATE pacewheel.results r SET task_id = m.id FROM moved m WHERE r.job_id = m.job_id AND r.task_id = m.old_id;
UPDATE pacewheel.results r SET task_id = (r.job_id << 48) | (r.task_id & 281474976710655);

UPDATE pacewheel.priority_updates p
SET task_id = m.id
FROM moved m
WHERE p.domain_id = m.domain_id AND p.task_id = m.old_id;
UPDATE pacewheel.priority_updates p SET task_id = (p.job_id << 48) | (p.task_id & 281474976710655);

UPDATE pacewheel.link_lists l
SET targets = ARRAY(
    SELECT (l.job_id << 48) | (k.id & 281474976710655)
    FROM unnest(l.targets) WITH ORDINALITY AS k (id, position)
    ORDER BY k.position
);

ALTER TABLE pacewheel.tasks DROP CONSTRAINT tasks_pkey;
DROP INDEX pacewheel.tasks_claim;
DROP INDEX pacewheel.tasks_failed;
DROP INDEX pacewheel.tasks_wake;
UPDATE pacewheel.tasks t SET id = m.id FROM moved m WHERE t.domain_id = m.domain_id AND t.id = m.old_id;
UPDATE pacewheel.tasks t SET id = (t.job_id << 48) | (t.id & 281474976710655);
ALTER TABLE pacewheel.tasks ADD CONSTRAINT tasks_pkey PRIMARY KEY (domain_id, id);
CREATE INDEX tasks_claim ON pacewheel.tasks (domain_id, job_id, priority DESC, id DESC) WHERE status = 0;
CREATE INDEX tasks_failed ON pacewheel.tasks (domain_id, job_id, id) WHERE status = 4;
CREATE INDEX tasks_wake ON pacewheel.tasks (domain_id, ready_at) WHERE status = 1;
ALTER TABLE pacewheel.tasks ADD CONSTRAINT tasks_id_check CHECK (id >> 48 = (job_id << 48) >> 48);

-- What pruned jobs left is found by the range of their ids now; it is looked for from its start.
ALTER TABLE pacewheel.pruned_jobs DROP COLUMN results_to;
UPDATE pacewheel.pruned_jobs p SET tasks_to = DEFAULT WHERE p.cleared_at IS NULL;
