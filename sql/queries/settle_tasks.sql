-- purpose: record a batch of outcomes, fenced by (domain, owner, epoch): task rows, results, counters, job ends
-- params: $1 worker id, $2 domain ids, $3 their epochs, $4 ids of the jobs touched, $5 jobs not to end now (discoveries follow); a row each: $6 domain id, $7 task id, $8 new status, $9 attempts used, $10 retry in ms, $11 error, $12 HTTP status, $13 duration ms, $14 bytes, $15 cache word, $16 detail (JSON text), $17 ms since its departure, $18 ms between that and the one before, $19 gap ms in force, $20 ms of pause it asks for, $21 ids of its link lists (array text)
-- returns: held (domain ids still owned), settled (rows changed), ended (the sums of each job that this ended, or null)
-- index: domains_pkey, jobs_pkey, tasks_pkey
-- rows: 1
-- Locks domains, then jobs, then tasks, each in id order. What arrives under an old epoch changes
-- nothing: the next owner takes the domain's row FOR UPDATE, which the key-share lock here keeps
-- out until the commit.
WITH fence AS MATERIALIZED (
    SELECT d.id
    FROM pacewheel.domains d
    JOIN unnest($2::bigint[], $3::bigint[]) AS f (domain_id, epoch) ON f.domain_id = d.id AND f.epoch = d.epoch
    WHERE d.owner = $1
    ORDER BY d.id
    FOR KEY SHARE OF d
), locked AS MATERIALIZED (
    SELECT j.id
    FROM pacewheel.jobs j
    WHERE j.id = ANY ($4::bigint[]) AND j.domain_id = ANY (ARRAY(SELECT f.id FROM fence f))
    ORDER BY j.id
    FOR NO KEY UPDATE
), input AS MATERIALIZED (
    SELECT i.*
    FROM unnest(
        $6::bigint[], $7::bigint[], $8::smallint[], $9::smallint[], $10::bigint[], $11::text[], $12::smallint[],
        $13::integer[], $14::bigint[], $15::text[], $16::text[], $17::float8[], $18::float8[], $19::integer[],
        $20::bigint[], $21::text[]
    ) AS i (
        domain_id, task_id, status, attempt, retry_in_ms, error, http_status, duration_ms, bytes, cache, detail,
        left_ms_ago, apart_ms, gap_ms, pause_ms, link_lists
    )
    WHERE i.domain_id = ANY (ARRAY(SELECT f.id FROM fence f)) AND (SELECT count(*) FROM locked) > 0
), settled AS (
    UPDATE pacewheel.tasks t
    SET
        status = i.status,
        attempt = i.attempt,
        ready_at = CASE WHEN i.status = 1 THEN now() + i.retry_in_ms * interval '1 ms' END,
        waiting_reason = CASE WHEN i.status = 1 THEN 0 END,
        finished_at = CASE WHEN i.status > 2 THEN now() END
    FROM input i
    -- Not `= 0`: that would offer the planner a hash join with all of tasks_claim.
    WHERE t.domain_id = i.domain_id AND t.id = i.task_id AND t.status < 1 AND t.attempt = i.attempt - 1
    RETURNING
        t.job_id, t.domain_id, t.id, i.status, i.attempt, i.error, i.http_status, i.duration_ms, i.bytes, i.cache,
        i.detail, i.left_ms_ago, i.apart_ms, i.gap_ms, i.pause_ms, i.link_lists
), appended AS (
    INSERT INTO pacewheel.results (
        finished_at, domain_id, job_id, task_id, worker_id, bytes, duration_ms, http_status, attempt, outcome, error,
        cache, detail, departed_at, apart_ms, gap_ms, pause_ms, link_lists
    )
    SELECT
        now(), s.domain_id, s.job_id, s.id, $1, s.bytes, s.duration_ms, s.http_status, s.attempt, s.status, s.error,
        s.cache, s.detail::jsonb, now() - s.left_ms_ago * interval '1 ms', s.apart_ms, s.gap_ms,
        s.pause_ms, s.link_lists::bigint[]
    FROM settled s
), counted AS (
    UPDATE pacewheel.jobs j
    SET
        pending = j.pending - c.moved,
        waiting = j.waiting + c.waiting,
        backoff = j.backoff + c.waiting,
        completed = j.completed + c.completed,
        failed = j.failed + c.failed,
        skipped = j.skipped + c.skipped,
        last_progress_at = now(),
        status = CASE
            WHEN c.ends AND j.pending + j.waiting = c.moved - c.waiting AND NOT j.discovery_open THEN 3
            ELSE j.status
        END,
        finished_at = CASE
            WHEN c.ends AND j.pending + j.waiting = c.moved - c.waiting AND NOT j.discovery_open THEN now()
        END
    FROM (
        SELECT
            s.job_id,
            count(*) AS moved,
            count(*) FILTER (WHERE s.status = 1) AS waiting,
            count(*) FILTER (WHERE s.status = 3) AS completed,
            count(*) FILTER (WHERE s.status = 4) AS failed,
            count(*) FILTER (WHERE s.status = 5) AS skipped,
            s.job_id <> ALL ($5::bigint[]) AS ends
        FROM settled s
        GROUP BY s.job_id
    ) c
    WHERE j.id = c.job_id
    RETURNING CASE WHEN j.status = 3 THEN pacewheel.job_sums(to_jsonb(j)) END AS sums
)
SELECT
    coalesce((SELECT array_agg(f.id) FROM fence f), '{}') AS held,
    (SELECT count(*) FROM settled)::integer AS settled,
    (SELECT array_agg(c.sums) FROM counted c WHERE c.sums IS NOT NULL) AS ended
