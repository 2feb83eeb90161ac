"""What more of everything costs: processes, jobs, backlog, and domains that aren't due.

Ratios of drains in one run, by turns; see `drains.py` for what is counted, `curves.py` for more.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import uvloop

from benches.drains import Drained, Shape, drain
from benches.test_drain import FULL

pytestmark = pytest.mark.slow

TASKS = 50_000 if FULL else 10_000
BACKLOGS = (10_000, 1_000_000) if FULL else (5_000, 50_000)
DUE, ASLEEP = 10, (10, 10_000) if FULL else (10, 1_000)
ROUNDS = 3 if FULL else 1

Budget = Callable[[str, float], None]


def by_turns(dsn: str, shapes: Mapping[str, Shape], rounds: int = ROUNDS) -> dict[str, Drained]:
    """Drain each shape some times, by turns; return the medians of each figure."""

    async def measure() -> dict[str, list[Drained]]:
        drained: dict[str, list[Drained]] = {name: [] for name in shapes}
        for _ in range(rounds):
            for name, shape in shapes.items():
                drained[name].append(await drain(dsn, shape))
        return drained

    medians = {
        name: Drained(*map(statistics.median, zip(*each, strict=True)))
        for name, each in uvloop.run(measure()).items()
    }
    for name, each in medians.items():
        print(
            f"\n{name}: {each.tasks_per_s:,.0f} tasks/s, claims {each.claim_p50_ms:.1f} ms"
            f" (p99 {each.claim_p99_ms:.1f}), CPU a task {each.server_us:.0f} us of the server,"
            f" {each.python_us:.0f} us of Python, {each.wal_bytes:.0f} B of WAL",
            end="",
        )
    return medians


def test_two_processes_against_one(dsn: str, budget: Budget) -> None:
    """On two cores, which the server uses too."""
    found = by_turns(dsn, {"one": Shape(tasks=TASKS), "two": Shape(tasks=TASKS, processes=2)})
    budget("scale: two processes over one", found["two"].tasks_per_s / found["one"].tasks_per_s)


def test_a_thousand_jobs_against_fifty(dsn: str, budget: Budget) -> None:
    """Each on a domain of its own, as most are; and twenty of them on each of fifty domains."""
    found = by_turns(
        dsn,
        {
            "50 jobs": Shape(tasks=TASKS),
            "1,000 jobs": Shape(tasks=TASKS, jobs=1_000, domains=1_000),
            "1,000 jobs of 50 domains": Shape(tasks=TASKS, jobs=1_000),
        },
    )
    fifty = found["50 jobs"]
    for name in ("1,000 jobs", "1,000 jobs of 50 domains"):
        budget(f"scale: {name} over 50", found[name].tasks_per_s / fifty.tasks_per_s)
        budget(f"scale: {name}, CPU over that of 50", cpu_of(found[name]) / cpu_of(fifty))


def cpu_of(drained: Drained) -> float:
    """CPU of a task, in microseconds."""
    return drained.server_us + drained.python_us


def test_a_claim_costs_the_same_from_any_backlog(dsn: str, budget: Budget) -> None:
    """The median claim of a drain, from a hundred times the backlog."""
    few, many = BACKLOGS
    found = by_turns(dsn, {"few": Shape(tasks=few), "many": Shape(tasks=many)}, rounds=1)
    budget(
        "scale: a claim from 100 times the backlog",
        found["many"].claim_p50_ms / found["few"].claim_p50_ms,
    )


def test_domains_that_are_not_due_cost_a_claim_nothing(dsn: str, budget: Budget) -> None:
    """Ten domains are due beside ten that aren't, and beside 10,000: a thousand times as many."""
    due = Shape(tasks=TASKS // 5, domains=DUE, jobs=DUE, config={"domains_max": 100_000})
    few, many = (replace(due, asleep=asleep) for asleep in ASLEEP)
    found = by_turns(dsn, {f"{ASLEEP[0]} asleep": few, f"{ASLEEP[1]:,} asleep": many})
    first, second = found.values()
    budget(
        "scale: a claim beside 1,000 times the domains", second.claim_p50_ms / first.claim_p50_ms
    )
