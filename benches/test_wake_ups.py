"""How late things start: enqueue to start, ready to start; and what hints and idleness cost.

Server and engine share a machine, so its clock is the database's too. Polling once a second, which
is what the wake-ups replace, is the same engine with a wheel for one timer and a sweep a second.
"""

from __future__ import annotations

import asyncio
import importlib
import random
import statistics
import time
from collections.abc import Callable, Iterator

import asyncpg
import pytest
import uvloop

from pacewheel import Config, Engine, NewTask, Task, embedded
from pacewheel.services.waker import Waker

runtime_module = importlib.import_module("pacewheel.runtime")

pytestmark = pytest.mark.slow

ROUNDS = 200
SCHEDULED = 5000
DOMAINS = 50
SPREAD_S = 2.0
LEAD_S = 3.0
BUSY_MS = 1.0
BURST = 1000
IDLE_S = 20.0


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for these benches, with the settings that users get."""
    directory = tmp_path_factory.mktemp("bench") / "data"
    with embedded.acquire(embedded.EmbeddedConfig(data_dir=directory)) as use:
        yield use.dsn


class Clocked:
    """An engine that notes when each task started."""

    def __init__(self, dsn: str, expected: int, **settings: float) -> None:
        self.engine = Engine(dsn, config=Config(capacity=500, idle_release_s=60, **settings))
        self.started: dict[str, float] = {}
        self.arrived = asyncio.Event()
        self.all_started = asyncio.Event()

        @self.engine.handler("note")
        async def note(task: Task) -> None:
            self.started[task.target] = time.time()
            self.arrived.set()
            if len(self.started) == expected:
                self.all_started.set()


async def burn() -> None:
    """Keep the loop busy half of the time, in turns of a millisecond."""
    while True:
        until = time.perf_counter() + BUSY_MS / 1000
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(BUSY_MS / 1000)


def percentiles(lags_s: list[float]) -> tuple[float, float]:
    """Return p50 and p99 in ms."""
    cuts = statistics.quantiles(lags_s, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


async def enqueue_to_start(
    dsn: str, *, name: str, new_domains: bool, elsewhere: bool
) -> list[float]:
    """Enqueue one task at a time onto an idle engine; return the times from commit to start."""
    them = Clocked(dsn, ROUNDS)
    client = Engine(dsn)
    await client.connect()
    lags = []
    async with them.engine:
        sender = client if elsewhere else them.engine
        job = await sender.create_job(domain=name, handler="note")
        for n in range(ROUNDS):
            them.arrived.clear()
            target = f"{name} {n}"
            await asyncio.sleep(random.uniform(0.015, 0.03))
            if new_domains:
                await sender.create_job(
                    domain=target, handler="note", tasks=[NewTask(target)], discovery_open=False
                )
            else:
                await job.enqueue([NewTask(target)])
            committed = time.time()
            await asyncio.wait_for(them.arrived.wait(), 10)
            lags.append(max(0.0, them.started[target] - committed))
    await client.close()
    return lags


async def ready_to_start(dsn: str, *, name: str, busy: bool, sweep_s: float) -> list[float]:
    """Schedule tasks over two seconds in fifty domains; return the times from ready to start."""
    them = Clocked(dsn, SCHEDULED, sweep_s=sweep_s)
    burning = asyncio.create_task(burn()) if busy else None
    async with them.engine:
        for number in range(DOMAINS):
            tasks = [
                NewTask(f"{name} {n}", ready_in_s=LEAD_S + SPREAD_S * n / SCHEDULED)
                for n in range(number, SCHEDULED, DOMAINS)
            ]
            await them.engine.create_job(
                domain=f"{name} {number}", handler="note", concurrency=500, tasks=tasks
            )
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch(
            "SELECT target, extract(epoch FROM ready_at)::float8 AS at FROM pacewheel.tasks"
            " WHERE status = 1"
        )
        await connection.close()
        await asyncio.wait_for(them.all_started.wait(), 60)
    if burning is not None:
        burning.cancel()
    return [them.started[row["target"]] - row["at"] for row in rows]


async def idle_rate(dsn: str) -> float:
    """Return the statements a second of an engine that has nothing to do, as the server counts them."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    async with Clocked(dsn, 1).engine:
        await asyncio.sleep(IDLE_S / 4)
        await connection.execute("SELECT pg_stat_statements_reset()")
        await asyncio.sleep(IDLE_S)
        calls = await connection.fetchval(
            "SELECT sum(calls) FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'"
        )
    await connection.close()
    return float(calls) / IDLE_S


async def burst_of_enqueues(dsn: str) -> tuple[float, float]:
    """Enqueue one by one at full speed; return how many hints that sent, and enqueues a second."""
    client = Engine(dsn)
    await client.connect()
    job = await client.create_job(domain="burst", handler="none")
    began = time.perf_counter()
    for n in range(BURST):
        await job.enqueue([NewTask(f"t{n}")])
    rate = BURST / (time.perf_counter() - began)
    await client.close()
    return client.metrics.value("pacewheel_hints_sent_total", verb="enqueued"), rate


def test_enqueue_to_start(dsn: str, budget: Callable[[str, float], None]) -> None:
    """By a hint from another client, by one's own process, and of a domain that nobody owns yet."""
    cases = {
        "owned domain": {"new_domains": False, "elsewhere": True},
        "own enqueue": {"new_domains": False, "elsewhere": False},
        "new domain": {"new_domains": True, "elsewhere": True},
    }
    for case, how in cases.items():
        p50, p99 = percentiles(uvloop.run(enqueue_to_start(dsn, name=case, **how)))
        print(f"\nenqueue to start, {case}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        budget(f"wake: enqueue to start, {case}, p50", p50)
        budget(f"wake: enqueue to start, {case}, p99", p99)


def test_ready_to_start(
    dsn: str, budget: Callable[[str, float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """5,000 tasks over two seconds, against a poll every second."""
    medians = {}
    for case in ("idle loop", "half-busy loop", "polling"):
        sweep_s = 60.0
        if case == "polling":
            sweep_s = 1.0
            monkeypatch.setattr(
                runtime_module, "Waker", lambda **parts: Waker(**{**parts, "timers_max": 1})
            )
        is_busy = case == "half-busy loop"
        lags = uvloop.run(ready_to_start(dsn, name=case, busy=is_busy, sweep_s=sweep_s))
        p50, p99 = percentiles(lags)
        medians[case] = p50
        print(f"\nready to start, {case}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        assert min(lags) >= 0, "a task started before its time"
        budget(f"wake: ready to start, {case}, p50", p50)
        budget(f"wake: ready to start, {case}, p99", p99)
    budget("wake: polling over timers", medians["polling"] / medians["idle loop"])


def test_hints_of_a_burst(dsn: str, budget: Callable[[str, float], None]) -> None:
    """A thousand enqueues at full speed."""
    sent, rate = uvloop.run(burst_of_enqueues(dsn))
    print(f"\n{BURST} enqueues at {rate:,.0f} a second: {sent:g} hints")
    budget("wake: hints of a thousand enqueues", sent)


def test_an_idle_process(dsn: str, budget: Callable[[str, float], None]) -> None:
    """Heartbeats and probes, with the default settings."""
    budget("wake: statements of an idle process", uvloop.run(idle_rate(dsn)))
