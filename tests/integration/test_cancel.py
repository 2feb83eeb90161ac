"""Cancelling reaches running handlers, with hints and without, and frees what they held at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from pacewheel import Config, Engine, JobState, NewTask, Task
from pacewheel.engine import Job
from pacewheel.errors import StoreUnavailable
from pacewheel.ports import DomainClaim
from tests.conftest import fetch, until

SOON_S = 0.5


class Holding:
    """An engine whose handlers hold until they are cancelled; some swallow that."""

    def __init__(self, dsn: str, **settings: Any) -> None:
        self.engine = Engine(dsn, config=Config(**settings))
        self.started: dict[str, float] = {}
        self.cut: set[str] = set()
        self.let_go = asyncio.Event()

        @self.engine.handler("hold", timeout_s=600)
        async def hold(task: Task) -> None:
            self.started[task.target] = time.monotonic()
            while not self.let_go.is_set():
                try:
                    await self.let_go.wait()
                except asyncio.CancelledError:
                    self.cut.add(task.target)
                    if not task.target.startswith("stubborn"):
                        raise

    async def job(self, *targets: str, domain: str = "a.example", concurrency: int = 1) -> Job:
        """Create a job of these tasks, the first to be run first."""
        tasks = [NewTask(target, priority=-n) for n, target in enumerate(targets)]
        return await self.engine.create_job(
            domain=domain, handler="hold", concurrency=concurrency, tasks=tasks
        )

    async def until_started(self, *targets: str) -> None:
        """Wait until these have started."""
        await until(lambda: set(targets) <= self.started.keys())


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection can listen."""

    async def refuse(_dsn: str, **_options: object) -> None:
        raise StoreUnavailable("refused by the test")

    monkeypatch.setattr("pacewheel.store.listener.connect", refuse)


@pytest.fixture(autouse=True)
def far_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net under hints is drawn in every ten minutes: nothing comes by it."""
    monkeypatch.setattr("pacewheel.services.canceller.CHECK_S", 600.0)


@pytest.fixture
def quick_net(far_net: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs for long is looked for every half second."""
    monkeypatch.setattr("pacewheel.services.canceller.CHECK_S", SOON_S)


async def test_a_cancel_in_another_process_stops_the_handlers_at_once(dsn: str) -> None:
    """By the hint: every handler of the job is cut, and no other."""
    holding = Holding(dsn)
    other = Engine(dsn)
    await other.connect()
    async with holding.engine:
        job = await holding.job("a", "b", "c", concurrency=3)
        await holding.job("stays")
        await holding.until_started("a", "b", "c", "stays")
        await until(lambda: holding.engine.metrics.value("pacewheel_listener_up") == 1)
        assert 3 == await (await other.get_job(job.id)).cancel()
        await until(lambda: len(holding.cut) == 3)
        assert {"a", "b", "c"} == holding.cut
        holding.let_go.set()
    await other.close()


async def test_a_cancel_in_another_process_is_found_without_a_listener(
    dsn: str, deaf: None, quick_net: None
) -> None:
    """The database is asked which of the tasks that run for long have ended."""
    holding = Holding(dsn)
    other = Engine(dsn)
    await other.connect()
    async with holding.engine:
        job = await holding.job("a")
        await holding.job("stays")
        await holding.until_started("a", "stays")
        await (await other.get_job(job.id)).cancel()
        await until(lambda: "a" in holding.cut)
        assert {"a"} == holding.cut
        holding.let_go.set()
    await other.close()


async def test_one_s_own_cancel_needs_no_listener(dsn: str, deaf: None) -> None:
    """The handlers of this very process are stopped when the cancel has returned."""
    holding = Holding(dsn)
    async with holding.engine:
        job = await holding.job("a")
        await holding.until_started("a")
        await job.cancel()
        await until(lambda: "a" in holding.cut)


async def test_a_process_whose_handlers_are_quick_does_not_ask(
    dsn: str, deaf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing runs for long: no statement is sent, however often it is looked."""
    holding = Holding(dsn, capacity=20)
    asked: list[Sequence[tuple[int, int]]] = []
    async with holding.engine:
        find_ended = holding.engine.store.tasks.find_ended

        async def note(tasks: Sequence[tuple[int, int]]) -> list[int]:
            asked.append(tasks)
            return await find_ended(tasks)

        canceller = holding.engine._runtime._canceller
        await holding.job(*(f"t{n}" for n in range(20)), concurrency=20)
        await until(lambda: len(holding.started) == 20)
        # The first look after a time without a listener asks for all.
        await canceller.run_once()
        monkeypatch.setattr(canceller, "_find_ended", note)
        for _ in range(3):
            assert 0 == await canceller.run_once()
        holding.let_go.set()
    assert [] == asked


@pytest.mark.parametrize("first", ["a", "stubborn"])
async def test_a_cancel_frees_the_process_s_capacity(
    dsn: str, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """With one slot: the next job starts at once, or once a handler that swallows it is left behind."""
    monkeypatch.setattr("pacewheel.services.worker_pool.ABANDON_AFTER_MS", 300.0)
    holding = Holding(dsn, capacity=1)
    async with holding.engine:
        job = await holding.job(first)
        await holding.until_started(first)
        await holding.job("next", domain="b.example")
        began = time.monotonic()
        await job.cancel()
        await holding.until_started("next")
        waited_s = holding.started["next"] - began
        assert (0.3 if first == "stubborn" else 0.0) <= waited_s
        assert JobState.CANCELLED is (await job.info()).status
        assert 0 == (await job.info()).running
        holding.let_go.set()


async def test_a_task_that_is_stopped_frees_its_job_s_limit(dsn: str) -> None:
    """One of a job's tasks is cancelled, and every process told: the next starts."""
    holding = Holding(dsn)
    async with holding.engine:
        job = await holding.job("a", "b")
        await holding.until_started("a")
        await until(lambda: holding.engine.metrics.value("pacewheel_listener_up") == 1)
        await fetch(
            dsn,
            "WITH t AS (UPDATE pacewheel.tasks SET status = 6, finished_at = now()"
            " WHERE job_id = $1 AND target = 'a' RETURNING id),"
            " j AS (UPDATE pacewheel.jobs SET pending = pending - 1, cancelled = 1 WHERE id = $1)"
            " SELECT pg_notify('pacewheel', 'stopped ' || id) FROM t",
            job.id,
        )
        await holding.until_started("b")
        assert {"a"} == holding.cut
        holding.let_go.set()


@pytest.mark.parametrize("told_by", ["itself", "the hint"])
async def test_a_cancel_catches_what_a_claim_under_way_brings(
    dsn: str, monkeypatch: pytest.MonkeyPatch, told_by: str
) -> None:
    """The claim was committed before, its answer comes after: the handler must not run on."""
    holding = Holding(dsn)
    other = Engine(dsn)
    await other.connect()
    async with holding.engine:
        tasks = holding.engine.store.tasks
        claim_tasks = tasks.claim_tasks

        async def claim_slowly(*args: Any) -> list[DomainClaim]:
            claims = await claim_tasks(*args)
            if any(claim.tasks for claim in claims) and not holding.cut and not cancelled:
                canceller = holding.engine if told_by == "itself" else other
                cancelled.append(await (await canceller.get_job(jobs[0].id)).cancel())
                received = ("pacewheel_hints_received_total", "cancelled")
                await until(
                    lambda: holding.engine.metrics.value(received[0], verb=received[1]) == 1
                )
            return claims

        cancelled: list[int] = []
        jobs = [await holding.engine.create_job(domain="a.example", handler="hold")]
        monkeypatch.setattr(tasks, "claim_tasks", claim_slowly)
        await jobs[0].enqueue([NewTask("a")])
        await until(lambda: bool(cancelled))

        def nothing_is_left() -> bool:
            return holding.engine._runtime.unsettled() == 0

        await until(nothing_is_left)
    await other.close()
    assert [1] == cancelled
    assert holding.started.keys() == holding.cut
