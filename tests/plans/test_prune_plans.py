"""Retention reads what it removes, by index, however many jobs, tasks and results there are.

Explained under plans that were cached while the tables were empty, at two sizes, then with
statistics.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pacewheel.retention import DAY_MS, Keep
from tests.conftest import execute
from tests.plans.explain import Explainer, Plan, explainer
from tests.plans.shapes import DOMAINS, PREPARE, Shape, fill

SMALL_ROWS = 6_000
LARGE_ROWS = 60_000
BATCH_ROWS = 50
OLD_JOBS = 1_000
KEEP = Keep(jobs_ms=30 * DAY_MS, domains_ms=365 * DAY_MS)
MIXED = Shape("mixed", status="(ARRAY[0, 1, 3, 3, 4])[1 + n % 7 % 5]")
# The job of the first domain was pruned; a thousand old jobs of other domains were not, each twice.
PAST = (
    "UPDATE pacewheel.domains SET owner = NULL, created_at = '-infinity'",
    (
        "INSERT INTO pacewheel.pruned_jobs (job_id, domain_id, tasks_left, finished_at, domain)"
        " VALUES (1, 1, 1000000, now(), 'd1')"
    ),
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, status, created_at, finished_at)"
        f" SELECT 2 + n % {DOMAINS - 1}, 'old', 1, 3, now() - interval '41 days',"
        f" now() - interval '40 days' FROM generate_series(1, {OLD_JOBS}) AS n"
    ),
    (
        "INSERT INTO pacewheel.workers (host, pid, version, capacity, lease_until, dead_at)"
        f" SELECT 'h', 1, '0', 1, now(), now() - n * interval '1 h' FROM generate_series(1, {OLD_JOBS}) AS n"
    ),
)


async def clear(explain: Explainer) -> Any:
    """Clear tasks of a job."""
    return await explain.retention.clear_tasks(1, BATCH_ROWS)


async def prune_jobs(explain: Explainer) -> Any:
    """Remove old jobs."""
    return await explain.retention.prune_jobs(KEEP, None, BATCH_ROWS)


async def prune_domains(explain: Explainer) -> Any:
    """Look for unused domains, of which there are none."""
    return await explain.retention.prune_domains(DAY_MS, 0, BATCH_ROWS)


async def prune_workers(explain: Explainer) -> Any:
    """Remove processes that are long dead."""
    return await explain.retention.prune_workers(DAY_MS, BATCH_ROWS)


@dataclass(frozen=True)
class Case:
    """A statement, a use of it, and by which indexes at most how many rows of a table it reads."""

    name: str
    use: Callable[[Explainer], Awaitable[Any]]
    table: str
    indexes: frozenset[str]
    rows_max: int


CASES = [
    Case("clear_tasks", clear, "tasks", frozenset({"tasks_pkey"}), 2 * BATCH_ROWS + 1),
    # Each is looked at, locked and removed; of its domain and handler the next one is looked for.
    Case(
        "prune_jobs",
        prune_jobs,
        "jobs",
        frozenset({"jobs_finished", "jobs_pkey", "jobs_final"}),
        5 * BATCH_ROWS,
    ),
    Case(
        "prune_domains", prune_domains, "jobs", frozenset({"jobs_live", "jobs_final"}), 2 * DOMAINS
    ),
    Case(
        "prune_workers",
        prune_workers,
        "workers",
        frozenset({"workers_dead", "workers_pkey"}),
        3 * BATCH_ROWS,
    ),
]


def check(plan: Plan, case: Case) -> None:
    """Assert the indexes, the rows read and that nothing is read as a whole."""
    used = plan.indexes_of(case.table)
    assert used <= case.indexes, str(plan)
    assert 0 < plan.rows_read_of(case.table) <= case.rows_max, str(plan)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_pruning_reads_what_it_removes(dsn: str, case: Case) -> None:
    """Whatever the sizes, under a plan made for empty tables and under one made with statistics."""
    await execute(dsn, *PREPARE)
    async with explainer(dsn) as explain:
        await explain.warm(case.name)
        await fill(dsn, MIXED, SMALL_ROWS, seed=1)
        await execute(dsn, *PAST)
        check(await explain.plan(case.name, lambda: case.use(explain)), case)
        await fill(dsn, MIXED, LARGE_ROWS - SMALL_ROWS, seed=2)
        check(await explain.plan(case.name, lambda: case.use(explain)), case)
        await execute(dsn, "ANALYZE")
        check(await explain.plan(case.name, lambda: case.use(explain)), case)
