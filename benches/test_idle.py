"""What the engine asks of the database: idle, in a drain, for many timers of one moment and as hints.

Statements are counted by the server (pg_stat_statements), whoever sends them; those of `wake_tasks`
at the call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import uvloop

from benches.latency import MS, Worker, connected, ready_ns, report
from benches.server import counting, statements
from benches.test_drain import CAPACITY, FULL, JOBS, LIMIT, empty, target
from pacewheel import Config, Engine, NewTask, Task
from pacewheel.store.hinter import WINDOW_S
from tests.conftest import until

pytestmark = pytest.mark.slow

IDLE_S = 60.0 if FULL else 15.0
DRAINED = 100_000 if FULL else 20_000
TIMERS = 500
BURST = 1000

Budget = Callable[[str, float], None]


def test_what_an_idle_process_asks(dsn: str, tmp_path: Path, budget: Budget) -> None:
    """Statements a second of an engine that has worked and given its domains back, and its CPU.

    Between two runs of the retention: each is a dozen statements an hour.
    """

    async def measure() -> tuple[float, float]:
        engine = await connected(dsn)
        connection = await counting(dsn)
        with Worker(dsn, tmp_path) as worker:
            for domain in range(5):
                await engine.create_job(
                    domain=f"{domain}.example",
                    handler="note",
                    tasks=[NewTask(f"{number}") for number in range(100)],
                    discovery_open=False,
                )
            await worker.until(500)
            await engine.close()

            async def all_given_back() -> bool:
                owned = "SELECT count(*) FROM pacewheel.domains WHERE owner IS NOT NULL"
                return await connection.fetchval(owned) == 0

            await until(all_given_back, timeout_s=30)
            await connection.execute(
                "UPDATE pacewheel.retention SET next_at = now() + interval '1 hour'"
            )
            before, cpu_s, began_s = await statements(connection), worker.cpu_s(), time.monotonic()
            await asyncio.sleep(IDLE_S)
            passed_s = time.monotonic() - began_s
            asked = await statements(connection) - before
            cpu = (worker.cpu_s() - cpu_s) / passed_s
        await connection.close()
        return asked / passed_s, cpu

    queries_a_second, cpu = uvloop.run(measure())
    print(f"\nidle: {queries_a_second:.2f} queries/s, {cpu:.2%} of a core", end="")
    budget("idle: queries", queries_a_second)
    budget("idle: share of a core", cpu * 100)


def in_process(dsn: str) -> Engine:
    """An engine in this process, whose handler does nothing."""
    engine = Engine(dsn, config=Config(capacity=CAPACITY))

    @engine.handler("note")
    async def note(_task: Task) -> None:
        return None

    return engine


def test_statements_of_a_drain(dsn: str, budget: Budget) -> None:
    """All statements of an engine from its start to its stop, for each task it drains."""

    async def measure() -> int:
        engine = in_process(dsn)
        await engine.connect()
        await empty(dsn)
        connection = await counting(dsn)
        share = DRAINED // JOBS
        for number in range(JOBS):
            job = await engine.create_job(
                domain=f"site-{number}.example", handler="note", concurrency=LIMIT
            )
            await job.enqueue([NewTask(target(n)) for n in range(share)])
            await job.finish_discovery()
        before = await statements(connection)
        await engine.run_until_idle()
        asked = await statements(connection) - before
        done = await connection.fetchval("SELECT sum(completed) FROM pacewheel.jobs")
        await connection.close()
        assert done == DRAINED
        return asked

    asked = uvloop.run(measure())
    print(f"\ndrain: {asked} statements for {DRAINED} tasks", end="")
    budget("drain: statements a task", asked / DRAINED)


def test_many_timers_of_one_moment_are_few_statements(
    dsn: str, budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task in each of many domains, all ready at once: how often `wake_tasks` is called."""
    started_ns: list[int] = []
    woken: list[int] = []

    async def measure() -> int:
        engine = Engine(dsn, config=Config(capacity=CAPACITY))

        @engine.handler("note")
        async def note(_task: Task) -> None:
            started_ns.append(time.time_ns())

        await engine.connect()
        await empty(dsn)
        for number in range(TIMERS):
            tasks = [NewTask("one", ready_in_s=60)]
            await engine.create_job(domain=f"{number}.example", handler="note", tasks=tasks)
        connection = await asyncpg.connect(dsn)
        await connection.execute("UPDATE pacewheel.tasks SET ready_at = now() + interval '3 s'")
        ready = max((await ready_ns(dsn)).values())
        wake_tasks = engine.store.tasks.wake_tasks

        async def wake(domain_ids: Sequence[int], limit: int) -> Any:
            woken.append(len(domain_ids))
            return await wake_tasks(domain_ids, limit)

        monkeypatch.setattr(engine.store.tasks, "wake_tasks", wake)
        await engine.start()
        await until(lambda: len(started_ns) == TIMERS, timeout_s=30)
        await engine.stop()
        await connection.close()
        return ready

    ready = uvloop.run(measure())
    late_ms = [(at - ready) / MS for at in started_ns]
    assert 0 <= min(late_ms)
    report(f"{TIMERS} domains ready at one moment, {len(woken)} statements", late_ms)
    budget("wake-ups: statements for 500 timers of one moment", len(woken))


def test_hints_of_a_burst(dsn: str, budget: Budget) -> None:
    """A thousand enqueues, one by one at full speed."""

    async def measure() -> tuple[float, float]:
        client = await connected(dsn)
        job = await client.create_job(domain="burst.example", handler="none")
        began_s = time.monotonic()
        for number in range(BURST):
            await job.enqueue([NewTask(f"t{number}")])
        took_s = time.monotonic() - began_s
        await client.close()
        return client.metrics.value("pacewheel_hints_sent_total", verb="enqueued"), took_s

    sent, took_s = uvloop.run(measure())
    print(f"\n{BURST} enqueues at {BURST / took_s:,.0f} a second: {sent:g} hints", end="")
    budget("hints: for each ten milliseconds of enqueues", sent * WINDOW_S / took_s)
