-- purpose: tell which of the tasks that a process runs are live no more (cancelled, or taken and settled by another owner)
-- params: of each: $1 domain id, $2 task id
-- returns: id of each that is final or gone
-- index: tasks_pkey
-- rows: at most those asked for
-- Looked up one by one in a subquery, which no plan can turn into a join that reads more.
SELECT r.id
FROM unnest($1::bigint[], $2::bigint[]) AS r (domain_id, id)
WHERE coalesce(
    (SELECT t.status > 1 FROM pacewheel.tasks t WHERE t.domain_id = r.domain_id AND t.id = r.id), true
)
