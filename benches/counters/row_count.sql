-- The predecessor's way: every row that changes has its job counted anew. It had this index for it.
CREATE INDEX tasks_by_state ON counted.tasks (job_id, status);
CREATE FUNCTION counted.row_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE counted.jobs SET
        total = (SELECT count(*) FROM counted.tasks WHERE job_id = NEW.job_id),
        pending = (SELECT count(*) FROM counted.tasks WHERE job_id = NEW.job_id AND status = 0),
        completed = (SELECT count(*) FROM counted.tasks WHERE job_id = NEW.job_id AND status = 3)
    WHERE id = NEW.job_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER counting AFTER INSERT OR UPDATE OF status ON counted.tasks
FOR EACH ROW EXECUTE FUNCTION counted.row_count();
