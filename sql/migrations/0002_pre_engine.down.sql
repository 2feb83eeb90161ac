-- Undoes the second migration: the functions, the view of the first, then what was added.
DROP FUNCTION
    pacewheel.enqueue, pacewheel.enqueue_tasks, pacewheel.explain_waiting, pacewheel.offer_raises,
    pacewheel.raise_priority, pacewheel.refuse_job;
CREATE OR REPLACE VIEW pacewheel.task_states AS
SELECT
    t.domain_id,
    t.id,
    t.job_id,
    d.name AS domain,
    t.target,
    t.priority,
    t.attempt,
    CASE
        WHEN t.status = 0 AND t.id = ANY (d.in_flight) THEN 'running'
        ELSE (ARRAY['pending', 'waiting', 'running', 'completed', 'failed', 'skipped', 'cancelled'])[t.status + 1]
    END AS state,
    CASE WHEN t.status < 2 THEN d.owner END AS owner,
    CASE
        WHEN t.status = 1 THEN (ARRAY['retry_backoff', 'scheduled'])[t.waiting_reason + 1]
        WHEN t.status <> 0 OR t.id = ANY (d.in_flight) THEN NULL
        WHEN j.status = 2 THEN 'job_paused'
        WHEN d.blocked_until > clock_timestamp() THEN 'domain_blocked'
        WHEN r.running >= j.concurrency THEN 'concurrency_limit'
        WHEN greatest(d.base_delay_ms, d.robots_delay_ms) > 0 AND d.next_slot_at > clock_timestamp() THEN 'domain_delay'
        ELSE 'worker_capacity'
    END AS waiting_reason,
    t.created_at,
    t.ready_at,
    t.finished_at
FROM pacewheel.tasks t
JOIN pacewheel.domains d ON d.id = t.domain_id
JOIN pacewheel.jobs j ON j.id = t.job_id
LEFT JOIN LATERAL (
    SELECT count(*) AS running
    FROM unnest(d.in_flight) AS f (id)
    JOIN pacewheel.tasks ft ON ft.domain_id = d.id AND ft.id = f.id
    WHERE ft.job_id = j.id AND ft.status = 0
) r ON t.status = 0;
DROP VIEW pacewheel.waiting, pacewheel.job_states;
DROP TABLE pacewheel.priority_updates;
DROP INDEX pacewheel.tasks_failed;
DROP FUNCTION pacewheel.share_connections(bigint, integer, integer, integer, integer);
ALTER TABLE pacewheel.workers DROP COLUMN connections;
ALTER TABLE pacewheel.jobs DROP COLUMN backoff, DROP COLUMN error, DROP COLUMN resumed_at,
    DROP COLUMN retries_job_id, DROP COLUMN reconciled_at, DROP COLUMN weight;
ALTER TABLE pacewheel.domains
    DROP COLUMN gap_ms, DROP COLUMN adaptive_delay_ms, DROP COLUMN failures, DROP COLUMN successes,
    DROP COLUMN block_reason, DROP COLUMN claimed_at;
