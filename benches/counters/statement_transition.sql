-- Every statement adds what its transition table holds.
CREATE FUNCTION counted.statement_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM counted.jobs WHERE id IN (SELECT job_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    IF TG_OP = 'INSERT' THEN
        UPDATE counted.jobs j SET total = j.total + c.n, pending = j.pending + c.n
        FROM (SELECT job_id, count(*) AS n FROM changed GROUP BY job_id) c WHERE j.id = c.job_id;
    ELSE
        UPDATE counted.jobs j SET pending = j.pending - c.n, completed = j.completed + c.n
        FROM (SELECT job_id, count(*) AS n FROM changed GROUP BY job_id) c WHERE j.id = c.job_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER counting_insert AFTER INSERT ON counted.tasks
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION counted.statement_transition();
CREATE TRIGGER counting_update AFTER UPDATE ON counted.tasks
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION counted.statement_transition();
