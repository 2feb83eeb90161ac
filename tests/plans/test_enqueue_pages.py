"""Enqueueing a job writes to pages of its own, whatever its domain keeps of others."""

from __future__ import annotations

from pacewheel import NewTask
from tests.conftest import execute
from tests.plans.explain import explainer

JOBS = 100
JOB_TASKS = 1_000
NEW = 400
# The new rows fill some nine pages and their entries four or five; a page that is split is three.
PAGES_MAX = 40
KEPT = (
    "ALTER TABLE pacewheel.tasks SET (autovacuum_enabled = off)",
    "INSERT INTO pacewheel.domains (name) VALUES ('d')",
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency)"
        f" SELECT 1, 'h', 8 FROM generate_series(1, {JOBS + 1})"
    ),
    (
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target)"
        " SELECT 1, pacewheel.task_id(j.id, 't' || n), j.id, 0, now(), 3, 't' || n"
        f" FROM pacewheel.jobs j, generate_series(1, {JOB_TASKS}) n WHERE j.id <= {JOBS}"
    ),
    "CHECKPOINT",
)


async def test_enqueueing_writes_to_few_pages_of_a_domain_that_keeps_many_tasks(dsn: str) -> None:
    """18 where ids without their job had it write to 282."""
    await execute(dsn, *KEPT)
    tasks = [NewTask(f"t{n}") for n in range(NEW)]
    async with explainer(dsn) as explain:
        plan = await explain.plan(
            "enqueue_tasks", lambda: explain.tasks.enqueue_tasks(JOBS + 1, tasks)
        )
    assert 5 < plan.dirtied() <= PAGES_MAX, plan.dirtied()
