"""Several processes on one database: never too many at once, never too fast, never two owners."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conftest import fetch
from tests.processes.fleet import (
    Fleet,
    by_domain,
    create_jobs,
    foreign_overlaps,
    most_at_once,
    pace_faults_ms,
)

GAP_MS = 40
PACED = [f"paced-{number}" for number in range(12)]
PACED_TASKS, FREE_TASKS = 130, 350
FREE = ["free-0", "free-1", "free-1"]


async def test_four_processes_keep_every_pace_and_limit_and_do_every_task_once(
    fleet: Fleet, dsn: str
) -> None:
    """Processes join while work goes on, so domains move; two of the jobs share a domain."""
    paced = await create_jobs(dsn, PACED, PACED_TASKS, gap_ms=GAP_MS, hold_ms=15)
    free = await create_jobs(dsn, FREE, FREE_TASKS, concurrency=2, hold_ms=25)
    fleet.start()
    await fleet.until_runs(lambda runs: len(runs) > 100)
    for _ in range(3):
        fleet.start()
    await fleet.until_all_settled()
    runs = fleet.runs()

    done = Counter((run.job, run.task) for run in runs)
    assert {(job.id, f"{n}"): 1 for job in paced for n in range(PACED_TASKS)} | {
        (job.id, f"{n}"): 1 for job in free for n in range(FREE_TASKS)
    } == done
    results = await fetch(
        dsn, "SELECT outcome, attempt, count(*) FROM pacewheel.results GROUP BY 1, 2"
    )
    assert [(3, 1, len(done))] == [tuple(row) for row in results]
    assert 4 == len(fleet.pids())

    assert {job.id: 2 for job in free} == {
        job.id: most_at_once([run for run in runs if run.job == job.id]) for job in free
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
