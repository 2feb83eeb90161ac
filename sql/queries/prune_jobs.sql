-- purpose: remove finished jobs that are old enough; what they leave is cleared after that
-- params: $1 age in ms, $2 age in ms of what a domain is known by, or null (for ever), $3 most jobs to look at, go on behind the job that ended at $4 with id $5
-- returns: last_at and last_id of the jobs looked at (null: there are no more), jobs (pruned)
-- index: jobs_finished, jobs_final, jobs_live
-- rows: 1
-- Kept is the last run of each domain and handler, which the next one is compared with or asks conditionally against:
-- the last that completed, or without one the last there is. So is the last job of a schedule. Where a domain has done
-- nothing for $2 and has no schedule, they go too. A live job is never looked at. `SELECT true ... LIMIT 1` instead of
-- EXISTS: that might be answered by a hash of the whole table.
WITH seen AS MATERIALIZED (
    SELECT j.id, j.domain_id, j.handler, j.status, j.finished_at
    FROM pacewheel.jobs j
    WHERE
        j.status >= 3 AND j.finished_at < now() - $1::bigint * interval '1 ms'
        AND (j.finished_at, j.id) > ($4::timestamptz, $5::bigint)
    ORDER BY j.finished_at, j.id
    LIMIT $3
), old AS MATERIALIZED (
    SELECT j.id
    FROM pacewheel.jobs j
    WHERE
        j.id = ANY (ARRAY(
            SELECT s.id
            FROM seen s
            WHERE
                (
                    (
                        SELECT true
                        FROM pacewheel.jobs n
                        WHERE
                            n.domain_id = s.domain_id AND n.handler = s.handler AND n.id > s.id AND n.status >= 3
                            AND (n.status = 3 OR s.status <> 3)
                        LIMIT 1
                    )
                    OR (
                        s.finished_at < now() - $2::bigint * interval '1 ms'
                        AND (
                            SELECT true FROM pacewheel.jobs n WHERE n.domain_id = s.domain_id AND n.status < 3 LIMIT 1
                        ) IS NULL
                        AND (
                            SELECT true
                            FROM pacewheel.jobs n
                            WHERE
                                n.domain_id = s.domain_id AND n.status >= 3
                                AND n.finished_at >= now() - $2::bigint * interval '1 ms'
                            LIMIT 1
                        ) IS NULL
                        AND NOT EXISTS (
                            SELECT
                            FROM pacewheel.schedules c
                            JOIN pacewheel.domains d ON d.name = c.domain
                            WHERE d.id = s.domain_id
                        )
                    )
                )
                AND NOT EXISTS (SELECT FROM pacewheel.schedules c WHERE c.last_job_id = s.id)
        ))
    ORDER BY j.id
    FOR UPDATE SKIP LOCKED
), pruned AS (
    DELETE FROM pacewheel.jobs j
    WHERE j.id = ANY (ARRAY(SELECT o.id FROM old o))
    RETURNING j.id, j.domain_id, j.total, j.finished_at
), noted AS (
    INSERT INTO pacewheel.pruned_jobs (job_id, domain_id, tasks_left, finished_at, domain)
    SELECT p.id, p.domain_id, p.total, p.finished_at, d.name
    FROM pruned p
    JOIN pacewheel.domains d ON d.id = p.domain_id
    RETURNING 1
), last AS (
    SELECT s.finished_at, s.id FROM seen s ORDER BY s.finished_at DESC, s.id DESC LIMIT 1
)
SELECT
    (SELECT l.finished_at FROM last l) AS last_at,
    (SELECT l.id FROM last l) AS last_id,
    (SELECT count(*) FROM noted)::integer AS jobs
