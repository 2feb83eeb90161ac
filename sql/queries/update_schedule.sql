-- purpose: write what a firing, a pause or a resume has changed of a schedule that is locked
-- params: $1 id, $2 next occurrence, $3 whether it is paused, $4 id of the job that was made or null (none), $5 occurrences skipped
-- returns: nothing
-- index: schedules_pkey
-- rows: 0
UPDATE pacewheel.schedules s
SET
    next_at = $2,
    paused = $3,
    last_job_id = coalesce($4::bigint, s.last_job_id),
    fired = s.fired + CASE WHEN $4::bigint IS NULL THEN 0 ELSE 1 END,
    skipped_overlap = s.skipped_overlap + $5
WHERE s.id = $1
