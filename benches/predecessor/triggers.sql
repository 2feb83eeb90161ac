-- Made after the load, which would take minutes with them.
CREATE TRIGGER count_progress AFTER UPDATE OF status ON predecessor.tasks
FOR EACH ROW EXECUTE FUNCTION predecessor.count_progress();
CREATE TRIGGER count_total AFTER INSERT OR UPDATE OF status ON predecessor.tasks
FOR EACH ROW EXECUTE FUNCTION predecessor.count_total();
CREATE TRIGGER count_queue AFTER INSERT OR UPDATE OF status ON predecessor.tasks
FOR EACH ROW EXECUTE FUNCTION predecessor.count_queue();
