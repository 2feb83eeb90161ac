"""An export reads on by key: a page of it costs the same wherever it is in a job of any size."""

from __future__ import annotations

from pacewheel.store.reports import EXPORT_ROWS
from tests.conftest import execute
from tests.plans.explain import explainer
from tests.plans.shapes import DOMAINS, PREPARE, Shape, fill

# One domain has most of the tasks, final ones.
LARGE = Shape("one large job", domain=f"CASE WHEN n % 50 = 0 THEN 1 + n % {DOMAINS} ELSE 1 END",
              status="3")  # fmt: skip


async def test_a_page_of_an_export_reads_and_sorts_no_more_than_itself(dsn: str) -> None:
    """Under a plan made of empty tables, and again with statistics."""
    await execute(dsn, *PREPARE)
    async with explainer(dsn) as explain:
        await explain.warm("export_tasks")
        await fill(dsn, LARGE, 40_000, seed=1)
        for statement in ("SELECT", "ANALYZE"):
            await execute(dsn, statement)
            plan = await explain.plan(
                "export_tasks", lambda: explain.reports.export_tasks(1, lambda _: None)
            )
            assert {"tasks_pkey"} == plan.indexes_of("tasks"), str(plan)
            assert plan.rows_read_of("tasks") <= EXPORT_ROWS, str(plan)
            assert plan.rows_sorted() <= EXPORT_ROWS, str(plan)
