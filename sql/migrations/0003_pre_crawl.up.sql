-- What a report rests on: when each request left, the pause a site asked for, and which pages link to which.

-- `departed_at`: the instant of the settle less the milliseconds that the process counted since the departure, so
-- late by what the settle took to reach the server. `apart_ms` is exact: by the process's own clock, from the moment
-- when the domain's departure before this one was surely out; null for the first departure under a lease. `gap_ms`:
-- the gap that was in force. All three are null where there was no gap. `pause_ms`: for how long the attempt asked
-- that nothing of its domain start. `link_lists`: see below.
ALTER TABLE pacewheel.results
    ADD COLUMN departed_at timestamptz,
    ADD COLUMN apart_ms double precision,
    ADD COLUMN gap_ms integer,
    ADD COLUMN pause_ms bigint,
    ADD COLUMN link_lists bigint[];

-- Which tasks of the job a task refers to, a list a name (a page's links by position, a sitemap's entries): the ids of
-- the tasks, which are the hashes of their keys, whether those tasks exist or not. A list is named by the hash of what
-- it holds, so the navigation that all pages of a site share is kept once; results name the lists of their attempt.
CREATE TABLE pacewheel.link_lists (
    domain_id bigint NOT NULL,
    job_id bigint NOT NULL,
    id bigint NOT NULL,
    name text NOT NULL,
    targets bigint[] NOT NULL,
    PRIMARY KEY (domain_id, job_id, id)
);

-- Each task with its last attempt, for reports; one of a job that has no attempt yet is not in it.
CREATE VIEW pacewheel.last_results AS
SELECT
    r.job_id,
    r.domain_id,
    r.task_id,
    t.target,
    coalesce(t.key, t.target) AS key,
    t.payload,
    coalesce(t.payload ->> 'kind', 'page') AS kind,
    t.status,
    r.attempt,
    r.outcome,
    r.error,
    r.http_status,
    r.bytes,
    r.cache,
    r.detail,
    coalesce((r.detail -> 'timings' ->> 'total')::float8, r.duration_ms) AS answer_ms,
    r.link_lists,
    r.finished_at
FROM pacewheel.results r
JOIN pacewheel.tasks t
    ON t.domain_id = r.domain_id AND t.id = r.task_id AND t.job_id = r.job_id AND t.attempt = r.attempt;

-- Each page of a warm job with its last result, and the cache's word of the last answer to it: a recheck's, if there
-- was one. `is_warm` is true when the cache had it, null when no cache said anything.
CREATE VIEW pacewheel.page_results AS
SELECT
    l.job_id,
    l.task_id,
    l.target,
    l.status,
    l.error,
    l.http_status,
    l.bytes,
    l.answer_ms,
    c.cache,
    CASE WHEN c.cache <> 'unknown' THEN c.cache IN ('hit', 'revalidated') END AS is_warm
FROM pacewheel.last_results l
LEFT JOIN (
    SELECT DISTINCT ON (a.job_id, a.payload ->> 'from')
        a.job_id,
        (a.payload ->> 'from')::bigint AS page_id,
        a.cache
    FROM pacewheel.last_results a
    WHERE a.kind = 'recheck' AND a.status = 3
    ORDER BY a.job_id, a.payload ->> 'from', a.finished_at DESC
) r ON r.job_id = l.job_id AND r.page_id = l.task_id
CROSS JOIN LATERAL (SELECT coalesce(r.cache, l.cache) AS cache) c
WHERE l.kind = 'page';
