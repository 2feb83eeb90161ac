-- Jobs that were removed stay so, and what of them is not cleared yet stays behind.
DROP FUNCTION IF EXISTS pacewheel.job_sums;
DROP FUNCTION pacewheel.drop_results(date, integer);
DROP TABLE pacewheel.retention;
DROP TABLE pacewheel.pruned_jobs;
DROP INDEX pacewheel.workers_dead;
DROP INDEX pacewheel.results_default_by_age;
DROP INDEX pacewheel.jobs_final;
DROP INDEX pacewheel.jobs_finished;
ALTER TABLE pacewheel.domains DROP COLUMN created_at;
