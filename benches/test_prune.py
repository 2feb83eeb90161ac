"""What retention costs the work beside it: claims and settles of a busy engine, with and without, by turns.

An engine drains jobs without a gap in one domain after the other, while old jobs of the same
domains are removed, piece by piece as the pruner does it, and a partition of results is dropped in
each round. Claims and settles are timed where the engine calls them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import uvloop

from pacewheel import Config, Engine, NewTask, Task
from pacewheel.errors import JobFinal
from pacewheel.retention import DAY_MS, Keep
from pacewheel.services.pruner import prune

FULL = os.environ.get("BENCH", "quick") == "full"
DOMAINS = 8
OLD_TASKS = 20_000 if FULL else 4_000
ROUNDS = 6 if FULL else 3
ROUND_S = 4.0 if FULL else 3.0
KEEP = Keep(results_ms=35 * DAY_MS, jobs_ms=30 * DAY_MS)
DAYS = 40


class Timed:
    """A coroutine function that notes how long each call took."""

    def __init__(self, work: Callable[..., Awaitable[Any]]) -> None:
        self._work = work
        self.took_ms: list[float] = []

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, and note the time."""
        began = time.perf_counter()
        try:
            return await self._work(*args, **kwargs)
        finally:
            self.took_ms.append((time.perf_counter() - began) * 1000)


def quantiles(took_ms: list[float]) -> tuple[float, float, float]:
    """Return median, p95 and the longest.

    No p99: a machine that stands still a few times makes a claim in a hundred late.
    """
    cuts = statistics.quantiles(took_ms, n=100)
    return cuts[49], cuts[94], max(took_ms)


async def make_old(dsn: str, engine: Engine, round_number: int) -> None:
    """Leave two old jobs a domain, of which one is to go, with their results; and an old partition."""
    job_ids = []
    for domain in range(DOMAINS):
        for _ in range(2):
            tasks = [NewTask(f"old {number}") for number in range(OLD_TASKS // 2)]
            job = await engine.create_job(
                domain=f"d{domain}.example", handler="none", tasks=tasks, discovery_open=False
            )
            job_ids.append(job.id)
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "WITH done AS (UPDATE pacewheel.tasks SET status = 3, finished_at = now() WHERE job_id ="
        " ANY ($1) RETURNING *) INSERT INTO pacewheel.results (finished_at, domain_id, job_id, task_id,"
        " worker_id, duration_ms, attempt, outcome) SELECT now(), domain_id, job_id, id, 1, 1, 1, 3"
        " FROM done",
        job_ids,
    )
    await connection.execute(
        "UPDATE pacewheel.jobs SET status = 3, completed = total, pending = 0, created_at = '-infinity',"
        " finished_at = now() - interval '31 days', reconciled_at = now() WHERE id = ANY ($1)",
        job_ids,
    )
    day = await connection.fetchval(
        "SELECT (now() AT TIME ZONE 'UTC')::date - $1::integer", DAYS + round_number
    )
    following = await connection.fetchval("SELECT $1::date + 1", day)
    await connection.execute(
        f"CREATE TABLE pacewheel.results_{day:%Y%m%d} PARTITION OF pacewheel.results"
        f" FOR VALUES FROM ('{day} 00:00+00') TO ('{following} 00:00+00')"
    )
    await connection.close()


async def measure(dsn: str) -> dict[str, dict[bool, list[float]]]:
    """Return the times of claims and settles in ms, by whether old jobs were removed meanwhile."""
    engine = Engine(dsn, config=Config(capacity=200, prune_interval_s=86_400))

    @engine.handler("work")
    async def work(_task: Task) -> None:
        await asyncio.sleep(0.05)

    times: dict[str, dict[bool, list[float]]] = {
        name: {False: [], True: []} for name in ("claims", "settles")
    }
    async with engine:
        for round_number in range(ROUNDS):
            await make_old(dsn, engine, round_number)
            for prunes in (False, True):
                jobs = [
                    await engine.create_job(
                        domain=f"d{domain}.example",
                        handler="work",
                        concurrency=25,
                        tasks=[NewTask(f"{number}") for number in range(3_000)],
                        discovery_open=False,
                    )
                    for domain in range(DOMAINS)
                ]
                store = engine.store.tasks
                claims, settles = Timed(store.claim_tasks), Timed(store.settle_tasks)
                store.claim_tasks, store.settle_tasks = claims, settles  # type: ignore[method-assign]
                pruning = (
                    asyncio.create_task(prune(engine.store.retention, KEEP)) if prunes else None
                )
                await asyncio.sleep(ROUND_S)
                if pruning is not None:
                    pruning.cancel()
                    await asyncio.gather(pruning, return_exceptions=True)
                del store.claim_tasks, store.settle_tasks
                times["claims"][prunes] += claims.took_ms
                times["settles"][prunes] += settles.took_ms
                for job in jobs:
                    with contextlib.suppress(JobFinal):
                        await job.cancel()
            await prune(engine.store.retention, KEEP)
    return times


def test_retention_holds_up_no_claim(dsn: str, budget: Callable[[str, float], None]) -> None:
    """The median claim takes no longer while old jobs go, and none waits for the pruner's locks."""
    times = uvloop.run(measure(dsn))
    print()
    for name, by_way in times.items():
        for prunes, took_ms in by_way.items():
            median, p95, longest = quantiles(took_ms)
            print(
                f"{name:<8} {'while old jobs go' if prunes else 'alone':<18} {len(took_ms):>6,} calls:"
                f" median {median:.1f} ms, p95 {p95:.1f} ms, longest {longest:.0f} ms"
            )
    with_it, alone = (quantiles(times["claims"][prunes]) for prunes in (True, False))
    budget("prune: median claim, over alone", with_it[0] / alone[0])
    budget("prune: p95 of claims, over alone", with_it[1] / alone[1])
