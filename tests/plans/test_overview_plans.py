"""What people look at reads what is live and what is shown, however many tasks there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pacewheel import TaskState
from pacewheel.overview import DomainSort
from tests.conftest import execute, fetch
from tests.plans.explain import Explainer, Plan, explainer
from tests.plans.shapes import CONCURRENCY, DOMAINS, PREPARE, fill
from tests.plans.test_other_plans import LARGE_ROWS, MIXED, PAGE_ROWS, RUNNING, SMALL_ROWS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

PKEY = frozenset({"tasks_pkey"})
RUNNING_MAX = 6 * DOMAINS
LOOKED_AT = 200


def look(method: str, **how: Any) -> Callable[[Explainer], Awaitable[Any]]:
    """Return a use of the read model."""
    return lambda explain: getattr(explain.overview, method)(**how)


def tasks_in(state: TaskState | None) -> Callable[[Explainer], Awaitable[Any]]:
    """Return a look at the first page of a job's tasks."""
    return look("list_tasks", job_id=2, state=state, limit=PAGE_ROWS)


async def find_one(explain: Explainer) -> Any:
    """Find a task of the last domain by its id alone."""
    (row,) = await explain.connection.fetch(
        "SELECT id FROM pacewheel.tasks WHERE domain_id = 20 LIMIT 1"
    )
    return await explain.overview.get_task(row["id"])


# A statement, a use of it, the indexes by which it may read tasks, the rows and pages it may touch.
LOOKS = [
    ("count_totals", look("count_totals"), PKEY, RUNNING_MAX, 900),
    ("list_workers", look("list_workers"), PKEY, RUNNING_MAX, 900),
    ("list_domains", look("list_domains", sort=DomainSort.LIVE, limit=5), PKEY, 5 * 6, 400),
    ("list_domains", look("list_domains", live_only=False, limit=5), PKEY, 5 * 6, 400),
    ("list_domains", look("get_domain", name="d2"), PKEY, 6, 100),
    (
        "list_tasks",
        tasks_in(None),
        PKEY | {"tasks_claim"},
        LOOKED_AT + 2 * PAGE_ROWS + CONCURRENCY,
        700,
    ),
    ("list_tasks", tasks_in(TaskState.COMPLETED), PKEY, LOOKED_AT + 2 * PAGE_ROWS, 700),
    (
        "list_tasks",
        tasks_in(TaskState.PENDING),
        PKEY | {"tasks_claim"},
        4 * PAGE_ROWS + CONCURRENCY,
        500,
    ),
    ("list_tasks", tasks_in(TaskState.RUNNING), PKEY, 4 * PAGE_ROWS, 500),
    (
        "list_tasks",
        tasks_in(TaskState.WAITING),
        PKEY | {"tasks_wake"},
        LOOKED_AT + 2 * PAGE_ROWS,
        700,
    ),
    ("list_tasks", tasks_in(TaskState.FAILED), PKEY | {"tasks_failed"}, 4 * PAGE_ROWS, 500),
    ("find_task", find_one, PKEY, DOMAINS, 4 * DOMAINS + 20),
]


async def test_a_look_costs_what_it_shows(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By index, at a cost that the table's size does not change, with and without statistics."""
    monkeypatch.setattr("pacewheel.store.overview.LOOKED_AT_MAX", LOOKED_AT)
    await execute(dsn, *PREPARE)
    async with explainer(dsn) as explain:

        async def explained() -> list[Plan]:
            await execute(dsn, *RUNNING)
            plans = []
            for name, call, indexes, rows_max, buffers_max in LOOKS:
                plan = await explain.plan(name, lambda call=call: call(explain))  # type: ignore[misc]
                assert plan.indexes_of("tasks") <= indexes, f"{name}\n{plan}"
                assert plan.rows_read_of("tasks") <= rows_max, f"{name}\n{plan}"
                assert plan.buffers() <= buffers_max, f"{name}\n{plan}"
                assert plan.rows_sorted() <= LOOKED_AT, f"{name}\n{plan}"
                plans.append(plan)
            return plans

        for name in sorted({name for name, *_ in LOOKS}):
            await explain.warm(name)
        await fill(dsn, MIXED, SMALL_ROWS, seed=1)
        small = await explained()
        await fill(dsn, MIXED, LARGE_ROWS - SMALL_ROWS, seed=2)
        for before, after in zip(small, await explained(), strict=True):
            # Ten times the rows may add a level to each index, never a scan.
            assert after.buffers() <= 1.6 * before.buffers() + 100, f"{before}\n{after}"
        await execute(dsn, "ANALYZE pacewheel.domains, pacewheel.jobs, pacewheel.tasks")
        await explained()
    assert [(DOMAINS,)] == [
        tuple(row) for row in await fetch(dsn, "SELECT count(*) FROM pacewheel.domains")
    ]


MANY_JOBS = 200


async def test_what_runs_is_looked_up_once_a_domain_however_many_jobs_it_has(dsn: str) -> None:
    """Once a job, a domain of five thousand jobs cost every look more than a second."""
    await execute(dsn, *PREPARE)
    async with explainer(dsn) as explain:
        await explain.warm("count_totals")
        await fill(dsn, MIXED, SMALL_ROWS, seed=1)
        await execute(
            dsn,
            "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, status, pending)"
            f" SELECT 1, 'h', 8, 1, 1 FROM generate_series(1, {MANY_JOBS})",
            *RUNNING,
            "UPDATE pacewheel.domains d SET in_flight = ARRAY(SELECT t.id FROM pacewheel.tasks t"
            " WHERE t.domain_id = d.id AND t.status = 0 ORDER BY t.id LIMIT 5) WHERE d.id = 1",
            "ANALYZE pacewheel.domains, pacewheel.jobs, pacewheel.tasks",
        )
        plan = await explain.plan("count_totals", explain.overview.count_totals)
        assert plan.rows_read_of("tasks") <= RUNNING_MAX, str(plan)
