-- purpose: sum up what a job's attempts took, in which part of the way, for the verdict on what bounds it
-- params: $1 job id
-- returns: attempts, window_ms (from the first start to the last settle), retrying_ms (what of it came after the last first attempt), busy_ms (all handlers together), answer_ms (all answers together), own_ms (mean time from an answer's last byte to its settle), waits (first attempts), waited_ms (all of them together, from enqueued to started), recent and recent_ms (attempts settled within the last minute of the job, and what of that minute it had), read_at (the transaction's begin), results_from (results finished before were removed, or null)
-- index: results_by_task, tasks_pkey
-- rows: 1
WITH attempts AS MATERIALIZED (
    SELECT
        coalesce(r.departed_at, r.finished_at - r.duration_ms * interval '1 ms') AS started_at,
        r.finished_at, r.duration_ms, r.attempt, r.departed_at, t.created_at,
        coalesce(
            jsonb_path_query_first(r.detail, '$.timings.total ? (@ >= 0 && @ < 1e12)')::float8, r.duration_ms
        ) AS answer_ms
    FROM pacewheel.results r
    JOIN pacewheel.tasks t ON t.domain_id = r.domain_id AND t.id = r.task_id AND t.job_id = r.job_id
    WHERE r.job_id = $1
), ends AS MATERIALIZED (
    SELECT min(a.started_at) AS first_at, max(a.finished_at) AS last_at
    FROM attempts a
), until AS MATERIALIZED (
    SELECT e.*, CASE WHEN j.status < 3 THEN now() ELSE e.last_at END AS until_at
    FROM ends e, pacewheel.jobs j
    WHERE j.id = $1
)
SELECT
    count(*) AS attempts,
    coalesce(extract(epoch FROM max(u.last_at) - max(u.first_at))::float8 * 1000, 0) AS window_ms,
    coalesce(
        extract(epoch FROM max(u.last_at) - max(a.finished_at) FILTER (WHERE a.attempt = 1))::float8 * 1000, 0
    ) AS retrying_ms,
    coalesce(sum(a.duration_ms), 0)::float8 AS busy_ms,
    coalesce(sum(a.answer_ms), 0)::float8 AS answer_ms,
    avg(greatest(0, extract(epoch FROM a.finished_at - a.departed_at)::float8 * 1000 - a.answer_ms)) AS own_ms,
    count(*) FILTER (WHERE a.attempt = 1) AS waits,
    coalesce(
        sum(greatest(0, extract(epoch FROM a.started_at - a.created_at)::float8 * 1000)) FILTER (WHERE a.attempt = 1), 0
    ) AS waited_ms,
    count(*) FILTER (WHERE a.finished_at > u.until_at - interval '1 min') AS recent,
    coalesce(
        least(60000, extract(epoch FROM max(u.until_at) - max(u.first_at))::float8 * 1000), 0
    ) AS recent_ms,
    now() AS read_at,
    (SELECT r.results_from FROM pacewheel.retention r) AS results_from
FROM attempts a, until u
