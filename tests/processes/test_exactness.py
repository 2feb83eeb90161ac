"""Several processes on one database: never too many at once, never too fast, never two owners."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.conftest import fetch
from tests.processes.fleet import (
    FED_TASKS,
    Fleet,
    by_domain,
    create_jobs,
    feed,
    foreign_overlaps,
    most_at_once,
    pace_faults_ms,
)

GAP_MS = 40
PACED = [f"paced-{number}" for number in range(12)]
FREE = ["free-0", "free-1", "free-1"]


async def test_four_processes_keep_every_pace_and_limit_and_do_every_task_once(
    fleet: Fleet, dsn: str
) -> None:
    """Processes join while work goes on, so domains move; two of the jobs share a domain."""
    paced = await feed(dsn, PACED, gap_ms=GAP_MS, hold_ms=15)
    free = await feed(dsn, FREE, least=60, concurrency=2, hold_ms=25)

    async def until_at_work(processes: int) -> None:
        def all_are_at_work() -> bool:
            return len(fleet.pids()) == processes

        await asyncio.gather(paced.until(all_are_at_work), free.until(all_are_at_work))

    fleet.start()
    await until_at_work(1)
    for _ in range(3):
        fleet.start()
    await until_at_work(4)
    for work in (paced, free):
        await work.add(2 * FED_TASKS)
        await work.close()
    await fleet.until_all_settled()
    runs = fleet.runs()

    done = Counter((run.job, run.task) for run in runs)
    assert paced.every_task() | free.every_task() == done
    results = await fetch(
        dsn, "SELECT outcome, attempt, count(*) FROM pacewheel.results GROUP BY 1, 2"
    )
    assert [(3, 1, len(done))] == [tuple(row) for row in results]
    assert dict.fromkeys(free.tasks, 2) == {
        job: most_at_once([run for run in runs if run.job == job]) for job in free.tasks
    }
    assert [] == pace_faults_ms([run for run in runs if run.domain in PACED], GAP_MS)
    assert {} == {
        name: pairs
        for name, of_one in by_domain(runs).items()
        if (pairs := foreign_overlaps(of_one))
    }


@pytest.mark.parametrize("workers", [1, 4])
async def test_tasks_without_limits_are_done_once_by_any_number_of_processes(
    fleet: Fleet, dsn: str, workers: int
) -> None:
    """Two thousand tasks that take no time, over 20 domains."""
    jobs = await create_jobs(dsn, [f"d{number}" for number in range(20)], 100)
    for _ in range(workers):
        fleet.start()
    await fleet.until_all_settled()
    done = Counter((run.job, run.task) for run in fleet.runs())
    assert {(job.id, f"{n}"): 1 for job in jobs for n in range(100)} == done
