"""When tasks start: gaps, pauses, limits, backoff and schedules, on a real database."""

from __future__ import annotations

import asyncio
import time

from pacewheel import Engine, NewTask, Outcome, Task
from tests.conftest import fetch, until
from tests.departures import assert_kept, departures

# What starts earlier was not found by the sweep.
SWEEP_S = 50.0


async def test_a_retry_waits_its_backoff_and_then_runs(dsn: str) -> None:
    """A retry is a waiting task with a reason, runs no earlier than asked, and counts its attempts."""
    engine = Engine(dsn)
    attempts: list[tuple[int, float]] = []

    @engine.handler("flaky", attempts=3)
    async def flaky(task: Task) -> Outcome:
        attempts.append((task.attempt, time.monotonic()))
        if task.attempt == 1:
            return Outcome.retry("busy", retry_in_s=2.0)
        return Outcome.completed()

    await engine.connect()
    await engine.create_job(
        domain="a.example", handler="flaky", tasks=[NewTask("t")], discovery_open=False
    )
    async with engine:
        await until(lambda: len(attempts) == 1)

        async def waits() -> bool:
            rows = await fetch(dsn, "SELECT state, waiting_reason FROM pacewheel.task_states")
            return [("waiting", "retry_backoff")] == [tuple(row) for row in rows]

        await until(waits)
        await until(lambda: len(attempts) == 2)
    assert [1, 2] == [attempt for attempt, _ in attempts]
    assert 2.0 <= attempts[1][1] - attempts[0][1] < SWEEP_S


async def test_a_scheduled_task_starts_when_it_is_ready_and_not_before(dsn: str) -> None:
    """ready_in_s delays the start; the wheel wakes it, long before any sweep."""
    engine = Engine(dsn)
    started: list[float] = []

    @engine.handler("note")
    async def note(task: Task) -> None:
        started.append(time.monotonic())

    async with engine:
        job = await engine.create_job(domain="a.example", handler="note")
        offered = time.monotonic()
        await job.enqueue([NewTask("later", ready_in_s=0.7)])
        await until(lambda: len(started) == 1)
    assert 0.7 <= started[0] - offered < SWEEP_S


async def run_with_a_gap(dsn: str, *, jobs: int, tasks: int) -> None:
    """Run jobs of one domain with a gap of 30 ms."""
    engine = Engine(dsn)

    @engine.handler("note")
    async def note(_task: Task) -> None:
        pass

    await engine.connect()
    for job in range(jobs):
        await engine.create_job(
            domain="a.example",
            handler="note",
            concurrency=5,
            domain_delay_ms=30,
            tasks=[NewTask(f"{job}/{n}") for n in range(tasks)],
            discovery_open=False,
        )
    await engine.run_until_idle()


async def test_a_domain_never_starts_faster_than_its_gap(dsn: str) -> None:
    """Twenty tasks of a domain with a gap of 30 ms leave at least 30 ms apart, and hardly more."""
    await run_with_a_gap(dsn, jobs=1, tasks=20)
    await assert_kept(dsn, 20, 30)
    assert min(apart_ms for apart_ms, _ in await departures(dsn) if apart_ms) < 45


async def test_two_jobs_of_one_domain_share_its_pace(dsn: str) -> None:
    """The gap belongs to the domain: two jobs together keep it."""
    await run_with_a_gap(dsn, jobs=2, tasks=8)
    await assert_kept(dsn, 16, 30)


async def test_a_job_never_runs_more_than_its_concurrency_and_uses_all_of_it(dsn: str) -> None:
    """With room for all, a job of concurrency 3 runs three at once and never four."""
    engine = Engine(dsn)
    running = most = 0

    @engine.handler("hold")
    async def hold(task: Task) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    await engine.connect()
    await engine.create_job(
        domain="a.example",
        handler="hold",
        concurrency=3,
        tasks=[NewTask(f"t{n}") for n in range(40)],
        discovery_open=False,
    )
    await engine.run_until_idle()
    assert 3 == most


async def test_a_blocked_domain_starts_nothing_until_its_time(dsn: str) -> None:
    """block_domain_s keeps every task of the domain back, and says so."""
    engine = Engine(dsn)
    started: list[float] = []

    @engine.handler("block")
    async def block(task: Task) -> Outcome:
        started.append(time.monotonic())
        return Outcome.completed(block_domain_s=2.0 if task.target == "first" else None)

    await engine.connect()
    job = await engine.create_job(
        domain="a.example",
        handler="block",
        concurrency=1,
        tasks=[NewTask("first", priority=1), NewTask("second")],
        discovery_open=False,
    )
    async with engine:

        async def is_blocked() -> bool:
            return (await job.info()).waiting_reason == "domain_blocked"

        await until(is_blocked)
        await until(lambda: len(started) == 2)
    assert started[1] - started[0] >= 2.0
