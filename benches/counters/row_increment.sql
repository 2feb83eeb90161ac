-- Every row that changes adds to its job.
CREATE FUNCTION counted.row_increment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE counted.jobs SET total = total + 1, pending = pending + 1 WHERE id = NEW.job_id;
    ELSE
        UPDATE counted.jobs SET pending = pending - 1, completed = completed + 1 WHERE id = NEW.job_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER counting AFTER INSERT OR UPDATE OF status ON counted.tasks
FOR EACH ROW EXECUTE FUNCTION counted.row_increment();
