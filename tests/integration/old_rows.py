"""Databases with a past: jobs that ran, and ended long ago."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pacewheel import Engine, NewTask, Outcome, Task
from pacewheel.retention import DAY_MS, Keep, Pruned
from pacewheel.services.pruner import prune
from tests.conftest import execute, fetch

if TYPE_CHECKING:
    from pacewheel import Job

KEEP = Keep(results_ms=35 * DAY_MS, jobs_ms=30 * DAY_MS, domains_ms=365 * DAY_MS, workers_ms=DAY_MS)
TABLES = ("jobs", "tasks", "results", "documents", "link_lists", "priority_updates", "pruned_jobs")


def past_engine(dsn: str) -> Engine:
    """An engine whose handler leaves a row of each kind, and fails or cancels what it is told to."""
    engine = Engine(dsn)

    @engine.handler("work", attempts=1)
    async def work(task: Task) -> Outcome:
        return Outcome.completed(documents={task.target: "kept"}, links={"main": [task.target]})

    return engine


async def ran(engine: Engine, domain: str, tasks: int = 5, *, handler: str = "work") -> Job:
    """Return a job that will have run when the engine is idle."""
    return await engine.create_job(
        domain=domain,
        handler=handler,
        tasks=[NewTask(f"{domain}/{number}") for number in range(tasks)],
        discovery_open=False,
    )


async def make_older(dsn: str, days: float, *job_ids: int) -> None:
    """Move the life of jobs, with their results, into the past."""
    ids = ", ".join(map(str, job_ids))
    by = f"interval '{days} days'"
    await execute(
        dsn,
        f"UPDATE pacewheel.jobs SET created_at = created_at - {by}, started_at = started_at - {by},"
        f" finished_at = finished_at - {by}, reconciled_at = now() WHERE id IN ({ids})",
        f"UPDATE pacewheel.results SET finished_at = finished_at - {by} WHERE job_id IN ({ids})",
    )


async def counts(dsn: str, *job_ids: int) -> dict[str, int]:
    """Return how many rows each table has, of these jobs or of all."""
    wanted = ", ".join(
        f"(SELECT count(*) FROM pacewheel.{table} WHERE $1::bigint[] = '{{}}'"
        f" OR {'id' if table == 'jobs' else 'job_id'} = ANY ($1)) AS {table}"
        for table in TABLES
    )
    return dict((await fetch(dsn, f"SELECT {wanted}", list(job_ids)))[0])


async def partition(dsn: str, days_ago: int) -> str:
    """Create the partition of results of a day in the past; return its name."""
    rows = await fetch(
        dsn,
        "SELECT to_char(d, 'YYYYMMDD') AS name, d::text AS first, (d + 1)::text AS last"
        " FROM (SELECT (now() AT TIME ZONE 'UTC')::date - $1::integer AS d) x",
        days_ago,
    )
    name, first, last = rows[0]
    await execute(
        dsn,
        f"CREATE TABLE pacewheel.results_{name} PARTITION OF pacewheel.results"
        f" FOR VALUES FROM ('{first} 00:00+00') TO ('{last} 00:00+00')",
    )
    return f"results_{name}"


async def no_pause(_pause_s: float) -> None:
    """Don't wait between the pieces of a run."""
    await asyncio.sleep(0)


async def pruned(engine: Engine, keep: Keep = KEEP) -> Pruned:
    """Prune by the times of the tests."""
    return await prune(engine.store.retention, keep, sleep=no_pause)
