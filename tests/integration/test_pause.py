"""A paused job starts nothing, in no process, whatever is started anew; resumed, it goes on at once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from pacewheel import Config, Engine, JobState, NewTask, Outcome, Task, WaitingReason
from pacewheel.errors import JobFinal, JobUnknown, StoreUnavailable
from tests.conftest import execute, fetch, until

if TYPE_CHECKING:
    from pacewheel.engine import Job

# What a busy machine may add; the sweep, which would find everything, is a minute away.
# Whatever a busy machine takes; a sweep comes in an hour.
SOON_S = 45.0
WAITED_S = 0.3


class Process:
    """An engine of this process as one of several; what it starts goes into a list that all share."""

    def __init__(self, dsn: str, seen: list[tuple[str, float]], let_go: asyncio.Event) -> None:
        # The sweep is an hour away and the lease long: what is found soon is found by hints.
        self.engine = Engine(
            dsn, config=Config(idle_release_s=0.0, heartbeat_s=0.3, sweep_s=3600.0)
        )
        self._seen = seen
        self._let_go = let_go
        self.engine.handler("note", backoff_s=0.2)(self.note)

    async def note(self, task: Task) -> Outcome:
        """Note the start; hold and retry as the target says."""
        self._seen.append((task.target, time.monotonic()))
        if task.target.startswith("hold"):
            await self._let_go.wait()
        if task.target == "flaky" and task.attempt == 1:
            return Outcome.retry("busy", retry_in_s=2.0)
        return Outcome.completed()


async def create(engine: Engine, *targets: str, **values: object) -> Job:
    """Create a job of these tasks on the one domain."""
    tasks = [NewTask(target) for target in targets]
    return await engine.create_job(
        domain="a.example",
        handler="note",
        tasks=tasks,
        **values,  # type: ignore[arg-type]  # as given
    )


async def witness(engine: Engine, seen: list[tuple[str, float]], name: str) -> None:
    """Wait until a later job of the same domain has run: the paused one had its chances by then."""

    async def is_created() -> bool:
        try:
            await create(engine, *(f"{name} {n}" for n in range(20)), concurrency=1)
        except StoreUnavailable:
            return False
        return True

    await until(is_created)
    await until(lambda: 20 <= sum(target.startswith(name) for target, _ in seen))


async def test_a_paused_job_starts_nothing_whatever_is_started_anew(dsn: str) -> None:
    """What runs ends; a restart of the process, of its connections and a second process change nothing."""
    seen: list[tuple[str, float]] = []
    let_go = asyncio.Event()
    first, second = Process(dsn, seen, let_go), Process(dsn, seen, let_go)
    await first.engine.start()
    job = await create(
        first.engine, "hold 1", "hold 2", *(f"p{n}" for n in range(5)), concurrency=2
    )
    # Two of them run; which ones is their hashes' choice.
    await until(lambda: len(seen) >= 2)
    assert await job.pause()
    assert not await job.pause()
    let_go.set()

    async def runs_nothing() -> bool:
        return (await job.info()).running == 0

    await until(runs_nothing)
    started = len(seen)
    await witness(first.engine, seen, "same")
    await execute(
        dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    await witness(first.engine, seen, "reconnected")
    await second.engine.start()
    await first.engine.stop()
    await witness(second.engine, seen, "second")
    await second.engine.stop()

    # Witnesses may be more, where the answer to their creation was lost.
    assert started == sum(target[0] in "hp" for target, _ in seen)
    third = Process(dsn, seen, let_go)
    async with third.engine:
        job = await third.engine.get_job(job.id)
        info = await job.info()
        assert (JobState.PAUSED, WaitingReason.JOB_PAUSED) == (info.status, info.waiting_reason)
        assert info.live == info.total - info.completed
        await job.finish_discovery()
        assert await job.resume()

        async def is_completed() -> bool:
            return (await job.info()).status is JobState.COMPLETED

        await until(is_completed)
        assert info.started_at == (await job.info()).started_at
    assert 7 == sum(target[0] in "hp" for target, _ in seen)


async def test_resumed_work_starts_within_milliseconds(dsn: str) -> None:
    """Whether the domain is held or nobody holds it; the wait counts as one for the pause."""
    seen: list[tuple[str, float]] = []
    process = Process(dsn, seen, asyncio.Event())
    engine = process.engine
    async with engine:
        for name, is_held in (("held", True), ("free", False)):
            job = await create(engine, concurrency=5)
            await job.pause()
            await job.enqueue([NewTask(f"{name} {n}") for n in range(3)])
            keeper = await create(engine, "hold") if is_held else None

            async def is_so(*, wanted: bool = is_held) -> bool:
                rows = await fetch(dsn, "SELECT owner IS NOT NULL FROM pacewheel.domains")
                return bool(rows[0][0]) is wanted

            await until(is_so)
            paused_s = time.monotonic()
            await until(lambda at=paused_s: time.monotonic() > at + WAITED_S)  # type: ignore[misc]  # at is bound
            before = engine.metrics.value("pacewheel_waiting_seconds_sum", reason="job_paused")
            resumed = time.monotonic()
            assert await job.resume()
            assert not await job.resume()
            await until(lambda word=name: 3 == sum(word in target for target, _ in seen))  # type: ignore[misc]
            assert max(at for target, at in seen if name in target) - resumed < SOON_S
            after = engine.metrics.value("pacewheel_waiting_seconds_sum", reason="job_paused")
            assert 3 * WAITED_S < after - before < 3 * (WAITED_S + SOON_S)
            if keeper is not None:
                await keeper.cancel()
                await until(lambda: is_so(wanted=False))
        assert 6 == engine.metrics.value("pacewheel_waiting_seconds_count", reason="job_paused")


async def test_a_paused_job_whose_last_tasks_end_completes(dsn: str) -> None:
    """It needs no resume; then it is final for pause and resume."""
    seen: list[tuple[str, float]] = []
    let_go = asyncio.Event()
    process = Process(dsn, seen, let_go)
    async with process.engine:
        job = await create(process.engine, "hold 1", "hold 2", discovery_open=False)
        await until(lambda: len(seen) == 2)
        await job.pause()
        let_go.set()

        async def is_completed() -> bool:
            return (await job.info()).status is JobState.COMPLETED

        await until(is_completed)
        for verb in (job.pause, job.resume):
            with pytest.raises(JobFinal, match="is completed"):
                await verb()
        await execute(dsn, "DELETE FROM pacewheel.jobs")
        for verb in (job.pause, job.resume):
            with pytest.raises(JobUnknown):
                await verb()


async def test_a_retry_that_falls_due_in_a_pause_runs_when_the_job_is_resumed(dsn: str) -> None:
    """Meanwhile nothing says that it will start by itself."""
    seen: list[tuple[str, float]] = []
    process = Process(dsn, seen, asyncio.Event())
    async with process.engine:
        job = await create(process.engine, "flaky")
        await until(lambda: len(seen) == 1)
        await job.pause()

        async def is_due() -> bool:
            rows = await fetch(dsn, "SELECT ready_at < now() FROM pacewheel.tasks")
            return bool(rows[0][0])

        await until(is_due)
        (waiting,) = await job.explain()
        assert (1, None) == (waiting.tasks, waiting.expected_in_ms)
        assert (await job.explain_task("flaky")).expected_in_ms is None
        resumed = time.monotonic()
        await job.resume()
        await until(lambda: len(seen) == 2)
        assert seen[1][1] - resumed < SOON_S
