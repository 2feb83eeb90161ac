"""Reconciling reads the domains it is asked about by index, and steps over everything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import execute
from tests.plans.explain import Explainer, Plan, explainer
from tests.plans.shapes import DOMAINS, PREPARE, Shape, fill

SMALL_ROWS = 6_000
LARGE_ROWS = 60_000
JOB_ROWS = 60
DOMAIN = DOMAINS + 1
MIXED = Shape("mixed", status="(ARRAY[0, 1, 3, 3, 4])[1 + n % 7 % 5]")
# A domain of two small jobs beside all the others; one of them is final and left tasks behind.
SMALL_DOMAIN = (
    "INSERT INTO pacewheel.domains (name) VALUES ('small') ON CONFLICT DO NOTHING",
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, status, finished_at)"
        f" SELECT {DOMAIN}, 'h', 8, s, CASE s WHEN 5 THEN now() END FROM unnest(ARRAY[1, 5]) s"
        f" WHERE NOT EXISTS (SELECT FROM pacewheel.jobs WHERE domain_id = {DOMAIN})"
    ),
    (
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, ready_at, target)"
        f" SELECT {DOMAIN}, pacewheel.first_task_id(j) + n, j, 0, now(), n % 2, now() - interval '1 hour',"
        f" 'small ' || n FROM generate_series(1, {JOB_ROWS}) n, generate_series({DOMAIN}, {DOMAIN + 1}) j"
        " ON CONFLICT DO NOTHING"
    ),
)


async def compare(explain: Explainer) -> Any:
    """Compare the jobs of the small domain."""
    return await explain.counters.compare_counters([(DOMAIN, DOMAIN, JOB_ROWS)], mark=False)


async def recount(explain: Explainer) -> Any:
    """Recount one of them."""
    return await explain.counters.recount_job(DOMAIN)


async def cancel(explain: Explainer) -> Any:
    """Cancel what the final one left behind."""
    return await explain.counters.cancel_orphans(DOMAIN, DOMAIN + 1, 1000)


async def find(explain: Explainer) -> Any:
    """Find the final one among all."""
    return await explain.counters.find_orphans(1000)


@dataclass(frozen=True)
class Case:
    """A statement, a use of it, and what it may read of tasks, by which index."""

    name: str
    call: Callable[[Explainer], Awaitable[Any]]
    indexes: frozenset[str]
    rows_max: int


CASES = [
    Case("compare_counters", compare, frozenset({"tasks_pkey"}), JOB_ROWS),
    Case("recount_job", recount, frozenset({"tasks_pkey"}), JOB_ROWS),
    # Of the domain's waiting tasks it reads all, and the update finds each again.
    Case(
        "cancel_orphans",
        cancel,
        frozenset({"tasks_claim", "tasks_wake", "tasks_pkey"}),
        3 * JOB_ROWS,
    ),
    # A step a domain and job, and the overdue ones at the head of each domain.
    Case(
        "find_orphans",
        find,
        frozenset({"tasks_claim", "tasks_wake"}),
        3 * (DOMAINS + 3) + 100,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_reconciling_reads_no_more_than_it_is_asked_about(dsn: str, case: Case) -> None:
    """By index, whatever else the table holds, with a plan of empty tables and with statistics."""
    await execute(dsn, *PREPARE)
    async with explainer(dsn) as explain:

        async def explained() -> Plan:
            plan = await explain.plan(case.name, lambda: case.call(explain))
            assert plan.indexes_of("tasks") <= case.indexes, str(plan)
            assert 0 < plan.rows_read_of("tasks") <= case.rows_max, str(plan)
            return plan

        await explain.warm(case.name)
        await fill(dsn, MIXED, SMALL_ROWS, seed=1)
        await execute(dsn, *SMALL_DOMAIN)
        small = await explained()
        await fill(dsn, MIXED, LARGE_ROWS - SMALL_ROWS, seed=2)
        large = await explained()
        assert large.buffers() <= 1.3 * small.buffers() + 100, f"{small}\n{large}"
        await execute(dsn, "ANALYZE pacewheel.domains, pacewheel.jobs, pacewheel.tasks")
        await explained()
