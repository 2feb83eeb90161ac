"""The scaler on a real engine: slots follow runnable work, and nothing else."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from pacewheel import Config, Engine, NewTask, Outcome, Task
from pacewheel.scaling import ScaleDecision, ScaleReason
from pacewheel.store.pool import WorkPool
from tests.conftest import execute, fetch, until

QUICK = {"capacity": 16, "capacity_min": 2, "scale_interval_s": 0.02, "sweep_s": 0.2}


@pytest.fixture(autouse=True)
def soon_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten evaluations are a quiet time; the policy's own thirty are tested without an engine."""
    monkeypatch.setattr("pacewheel.scaling.QUIET_MIN", 10)


def slots(engine: Engine) -> float:
    """Slots there are now."""
    return engine.metrics.value("pacewheel_slots")


def count(engine: Engine, decision: str, reason: str) -> float:
    """Evaluations that came to this."""
    return engine.metrics.value(
        "pacewheel_scaling_evaluations_total", decision=decision, reason=reason
    )


def ups(engine: Engine) -> float:
    """Evaluations that asked for more slots."""
    return sum(count(engine, ScaleDecision.SCALE_UP, reason) for reason in ScaleReason)


def evaluated(engine: Engine) -> float:
    """Evaluations, whatever they came to."""
    (metric,) = engine.metrics.scaling_evaluations.collect()
    return sum(sample.value for sample in metric.samples if sample.name.endswith("_total"))


class Holding:
    """An engine whose handler runs until it is let go, unless the target says otherwise."""

    def __init__(self, dsn: str, **config: Any) -> None:
        self.engine = Engine(dsn, config=Config(**{**QUICK, **config}))
        self.running: set[str] = set()
        self.let_go = asyncio.Event()
        self.engine.handler("hold", timeout_s=600)(self._hold)

    async def _hold(self, task: Task) -> Outcome:
        match task.target:
            case "quick":
                return Outcome.completed()
            case "fails":
                return Outcome.retry("busy", retry_in_s=WAITING_S)
            case "blocked":
                return Outcome.completed(block_domain_s=WAITING_S)
        self.running.add(task.target)
        try:
            await self.let_go.wait()
        finally:
            self.running.discard(task.target)
        return Outcome.completed()

    async def is_down_to_its_least(self) -> None:
        """Wait until the idle engine has gone down."""
        await until(lambda: slots(self.engine) == 2)

    async def evaluations(self, more: int) -> None:
        """Wait until there have been so many more evaluations."""
        goal = evaluated(self.engine) + more
        await until(lambda: evaluated(self.engine) >= goal)


async def test_slots_follow_the_backlog_up_and_idleness_down(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All at the start, the least when idle, all again under a backlog; each change is logged, once."""
    caplog.set_level(logging.INFO, "pacewheel.scaler")
    holding = Holding(dsn)
    engine = holding.engine
    async with engine:
        assert (16, 2) == (slots(engine), engine.metrics.value("pacewheel_slots_min"))
        await holding.is_down_to_its_least()
        await until(lambda: count(engine, "no_change", "no_runnable_tasks") > 0)
        assert 0 < count(engine, "scale_down", "idle_capacity") == len(caplog.records)

        for number in range(20):
            await engine.create_job(
                domain=f"{number}.example",
                handler="hold",
                tasks=[NewTask(str(number))],
                discovery_open=False,
            )
        # The handlers run on: only looking ahead shows that others wait.
        await until(lambda: len(holding.running) == 16)
        await until(lambda: count(engine, "no_change", "at_max") > 0)
        await until(lambda: 16 == engine.metrics.value("pacewheel_slots_busy"))
        assert 3 == count(engine, "scale_up", "runnable_backlog")
        assert "scaled 8 -> 16: runnable_backlog (busy " in caplog.text

        holding.let_go.set()
        await holding.is_down_to_its_least()
        assert 3 == ups(engine)
        changed = ups(engine) + count(engine, "scale_down", "idle_capacity")
        assert changed == len(caplog.records)


WAITING_S = 200.0
WAYS_TO_WAIT = {
    "domain_delay": {
        "domain_delay_ms": 3_600_000,
        "tasks": [NewTask("quick", priority=1), NewTask("rest")],
    },
    "retry_backoff": {"tasks": [NewTask("fails")]},
    "scheduled": {"tasks": [NewTask("later", ready_in_s=WAITING_S)]},
    "domain_blocked": {
        "concurrency": 1,
        "tasks": [NewTask("blocked", priority=1), NewTask("rest")],
    },
    "job_paused": {"tasks": [NewTask("later", ready_in_s=WAITING_S)]},
    "concurrency_limit": {"tasks": []},
}


async def only_wait(dsn: str, reason: str) -> None:
    """Two handlers hold both slots while others wait; only one that could run brings slots."""
    holding = Holding(dsn, schema=reason, capacity=4)
    engine = holding.engine
    async with engine:
        for number in range(10):
            await engine.create_job(
                domain=f"{number}.example", handler="hold", **WAYS_TO_WAIT[reason]
            )
        if reason == "job_paused":
            await execute(
                dsn,
                f"UPDATE {reason}.jobs SET status = 2, pending = waiting, waiting = 0",
                f"UPDATE {reason}.tasks SET status = 0, waiting_reason = NULL",
            )
        await holding.is_down_to_its_least()

        # The slot timer of each holder's domain fires while no slot is free, and its other tasks
        # wait.
        rest = {} if reason == "concurrency_limit" else {"ready_in_s": WAITING_S}
        for number in range(2):
            await engine.create_job(
                domain=f"holder-{number}.example",
                handler="hold",
                concurrency=1 if reason == "concurrency_limit" else 8,
                domain_delay_ms=1,
                tasks=[
                    NewTask(f"hold {number}", priority=1),
                    *(NewTask(f"rest {n}", **rest) for n in range(3)),
                ],
            )
        await until(lambda: len(holding.running) == 2)
        await holding.evaluations(40)
        live = await fetch(
            dsn,
            f"SELECT DISTINCT waiting_reason FROM {reason}.task_states "
            "WHERE state IN ('pending', 'waiting')",
        )
        assert {reason, *(["scheduled"] if rest else [])} == {row[0] for row in live}
        assert (0, 2) == (ups(engine), slots(engine))
        assert count(engine, "no_change", "sufficient_capacity") >= 30

        await engine.create_job(domain="runs.example", handler="hold", tasks=[NewTask("hold")])
        await until(lambda: len(holding.running) == 3)
        await until(lambda: ups(engine) == 1)
        holding.let_go.set()


async def test_tasks_that_only_wait_never_scale_up(dsn: str) -> None:
    """For whichever reason, an engine each, all at once in schemas of their own."""
    async with asyncio.TaskGroup() as group:
        for reason in WAYS_TO_WAIT:
            group.create_task(only_wait(dsn, reason))


async def test_a_task_that_was_claimed_ahead_goes_on_asking_for_a_slot(dsn: str) -> None:
    """However short its wait was when the claim proved it: no later claim would show it again."""
    holding = Holding(dsn, capacity_min=2, capacity=4, scale_interval_s=3600.0)
    engine = holding.engine
    async with engine:
        scaler = engine._runtime._scaler
        for _ in range(100):
            await scaler.run_once()
        assert 2 == slots(engine)
        for number in range(3):
            await engine.create_job(
                domain=f"{number}.example", handler="hold", tasks=[NewTask(f"hold {number}")]
            )
            await until(lambda number=number: min(2, number + 1) == len(holding.running))
        dispatcher = engine._runtime._dispatcher

        def is_claimed_ahead() -> bool:
            if engine._runtime.unsettled() == 3:
                return True
            dispatcher._shortage.cancel()
            dispatcher.look_ahead()
            return False

        await until(is_claimed_ahead)
        await scaler.run_once()
        await scaler.run_once()
        await until(lambda: len(holding.running) == 3)
        holding.let_go.set()


async def test_a_wait_in_vain_does_not_count_when_a_task_runs_later(dsn: str) -> None:
    """A domain that was due while no slot was free had nothing to run: nobody waited."""
    holding = Holding(dsn, capacity=4)
    engine = holding.engine
    async with engine:
        await holding.is_down_to_its_least()
        for number in range(2):
            # Its slot timer fires when its only task runs.
            await engine.create_job(
                domain=f"holder-{number}.example",
                handler="hold",
                domain_delay_ms=1,
                tasks=[NewTask(f"hold {number}")],
            )
        await until(lambda: len(holding.running) == 2)
        await holding.evaluations(20)
        holding.let_go.set()
        await until(lambda: not holding.running)
        for number in range(2):
            await engine.create_job(
                domain=f"later-{number}.example", handler="hold", tasks=[NewTask("quick")]
            )
        await holding.evaluations(20)
        assert (0, 2) == (ups(engine), slots(engine))


async def test_memory_takes_slots_and_keeps_new_ones_away(dsn: str) -> None:
    """With a limit that the process exceeds, it goes down to its least and stays there."""
    holding = Holding(dsn, memory_max_mb=1, capacity=4)
    engine = holding.engine
    async with engine:
        await holding.is_down_to_its_least()
        assert 0 < count(engine, "scale_down", "memory_limit")
        await engine.create_job(
            domain="a.example",
            handler="hold",
            tasks=[NewTask(str(number)) for number in range(5)],
            discovery_open=False,
        )
        await until(lambda: len(holding.running) == 2)
        await holding.evaluations(20)
        assert (0, 2, 2) == (ups(engine), slots(engine), len(holding.running))
        holding.let_go.set()


async def test_a_pool_without_free_connections_keeps_new_slots_away(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots come as soon as connections are free again."""
    in_use = 0.0
    monkeypatch.setattr("pacewheel.store.Store.pool_headroom", lambda _store: 1 - in_use)
    holding = Holding(dsn)
    engine = holding.engine
    async with engine:
        await holding.is_down_to_its_least()
        in_use = 0.95
        job = await engine.create_job(domain="a.example", handler="hold", concurrency=16)
        await job.enqueue([NewTask(str(number)) for number in range(10)])
        await until(lambda: len(holding.running) == 2)
        await holding.evaluations(20)
        assert (0, 2) == (ups(engine), slots(engine))
        in_use = 0.0
        await until(lambda: len(holding.running) == 10)
        assert 3 == ups(engine)
        holding.let_go.set()


async def test_the_headroom_is_the_free_share_of_the_connections(dsn: str) -> None:
    """Three of four are free while one works; none once the pool is closed."""
    pool = WorkPool(dsn, size_max=4, pooler=False)
    await pool.open()
    assert 1.0 == pool.headroom()

    async def look(_connection: object) -> float:
        return pool.headroom()

    assert 0.75 == await pool.run(look)
    await pool.close()
    assert 0.0 == pool.headroom()
