"""Waiting tasks start in time: by timer within the horizon, by sweep beyond it and for stragglers."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Sequence
from typing import Any

import pytest

from pacewheel import Config, Engine, NewTask, Outcome, Task
from pacewheel.engine import Job
from pacewheel.ports import DomainClaim, Settled, Woken
from pacewheel.services.waker import READY, Waker
from tests.calls import calls, count_from_now
from tests.conftest import execute, fetch, until

runtime_module = importlib.import_module("pacewheel.runtime")

ONE_STATEMENT = "%woken AS%"
# What a busy machine may add to a moment; a sweep, unless said otherwise, is an hour away.
SLACK_S = 45.0


class Started:
    """An engine whose handler notes when each task started."""

    def __init__(self, dsn: str, **settings: Any) -> None:
        self.engine = Engine(dsn, config=Config(**{"sweep_s": 3600.0, **settings}))
        self.at: dict[str, float] = {}
        self.let_go = asyncio.Event()

        @self.engine.handler("note", attempts=2)
        async def note(task: Task) -> Outcome | None:
            self.at[task.target] = time.monotonic()
            if task.target == "long":
                await self.let_go.wait()
            if task.target == "flaky":
                return Outcome.retry("busy", retry_in_s=0.3)
            return None

    def has(self, *targets: str) -> bool:
        """Tell whether these tasks have started."""
        return set(targets) <= self.at.keys()

    def timers(self) -> float:
        """Return how many domains have a timer for their next waiting task."""
        return self.engine.metrics.value("pacewheel_timers", kind="ready")

    def refused(self, reason: str) -> float:
        """Return how many such timers were left to the sweep for this reason."""
        return self.engine.metrics.value(
            "pacewheel_timers_refused_total", kind="ready", reason=reason
        )

    async def schedule(self, target: str, ready_in_s: float, domain: str = "a.example") -> Job:
        """Create a job with one task that is ready later."""
        return await self.engine.create_job(
            domain=domain, handler="note", tasks=[NewTask(target, ready_in_s=ready_in_s)]
        )


@pytest.mark.parametrize("idle_release_s", [0.0, 3600.0], ids=["given back", "held"])
async def test_a_task_beyond_the_horizon_starts_within_a_sweep_of_its_time(
    dsn: str, idle_release_s: float
) -> None:
    """No timer is set for it; whether its domain is kept or let go meanwhile, it is not lost."""
    started = Started(dsn, horizon_s=1, sweep_s=1.5, idle_release_s=idle_release_s)
    async with started.engine:
        offered = time.monotonic()
        await started.schedule("far", 2.5)
        await started.engine.create_job(domain="a.example", handler="note", tasks=[NewTask("near")])
        await until(lambda: started.has("near"))
        assert 0 == started.timers()
        await until(lambda: started.has("far"))
        assert 1 <= started.refused("horizon")
    assert 2.5 <= started.at["far"] - offered <= 2.5 + 1.5 * 1.1 + SLACK_S


async def test_timers_are_set_again_by_the_next_process(dsn: str) -> None:
    """A restart loses every timer; the lease sets them from the rows, long before any sweep."""
    first = Started(dsn)
    async with first.engine:
        await first.schedule("later", 250.0)
        await until(lambda: first.timers() == 1)
    assert 0 == first.timers()
    offered = time.monotonic()
    await execute(dsn, "UPDATE pacewheel.tasks SET ready_at = now() + interval '1500 ms'")
    second = Started(dsn)
    async with second.engine:
        await until(lambda: second.timers() == 1)
        await until(lambda: second.has("later"))
    assert not first.has("later")
    assert 1.5 <= second.at["later"] - offered <= 1.5 + SLACK_S


async def test_a_straggler_whose_timer_was_lost_is_found_by_the_sweep(dsn: str) -> None:
    """The domain is held and believed to have a timer: only the sweep finds the task. The next has a timer."""
    started = Started(dsn, sweep_s=1.0)
    async with started.engine:
        await started.schedule("lost", 0.5)
        await until(lambda: started.timers() == 1)
        runtime = started.engine._runtime
        assert runtime is not None
        (domain,) = runtime.held
        assert runtime._waker._wheel.cancel(READY, domain.id)
        await until(lambda: started.has("lost"))
        await started.schedule("next", 0.5)
        await until(lambda: started.has("next"))


async def test_what_finds_the_wheel_full_is_left_to_the_sweep(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five domains and two timers: three refusals at least, and all five tasks start."""
    monkeypatch.setattr(
        runtime_module, "Waker", lambda **parts: Waker(**{**parts, "timers_max": 2})
    )
    started = Started(dsn, sweep_s=1.0, idle_release_s=3600)
    names = [f"task {n}" for n in range(5)]
    async with started.engine:
        for n, name in enumerate(names):
            await started.schedule(name, 0.8, f"d{n}.example")
        await until(lambda: started.timers() == 2 and started.refused("full") >= 3)
        await until(lambda: started.has(*names))
        await until(lambda: started.timers() == 0)
        # Each timer that fires is observed; what the sweep wakes is not.
        assert 2 <= started.engine.metrics.value("pacewheel_wake_up_lag_seconds_count")


async def test_timers_go_when_their_tasks_are_cancelled(dsn: str) -> None:
    """The gauge is back at zero at once, hours before any timer would have fired."""
    started = Started(dsn)
    async with started.engine:
        jobs = [await started.schedule(f"task {n}", 250, f"d{n}.example") for n in range(3)]
        await until(lambda: started.timers() == 3)
        other = Engine(dsn)
        await other.connect()
        assert 1 == await (await other.get_job(jobs[0].id)).cancel()
        await until(lambda: started.timers() == 2)
        for job in jobs[1:]:
            await job.cancel()
        await until(lambda: started.timers() == 0)
        await other.close()


async def test_timers_go_with_their_tasks_while_no_slot_is_free(dsn: str) -> None:
    """Nothing can be claimed, and still it is found that nothing waits."""
    started = Started(dsn, capacity=1)
    async with started.engine:
        job = await started.schedule("later", 250)
        await until(lambda: started.timers() == 1)
        await started.engine.create_job(domain="a.example", handler="note", tasks=[NewTask("long")])
        await until(lambda: started.has("long"))
        await job.cancel()
        await until(lambda: started.timers() == 0)
        assert 1 == started.engine._runtime.unsettled()
        started.let_go.set()


async def test_a_timer_stays_for_the_tasks_that_are_left(dsn: str) -> None:
    """One of two jobs of a domain is cancelled, the one whose task is ready first: the other starts."""
    started = Started(dsn)
    async with started.engine:
        first = await started.schedule("first", 2.5)
        await started.schedule("second", 2.7)
        await until(lambda: started.timers() == 1)
        assert 1 == await first.cancel()
        await until(lambda: started.has("second"))
    assert not started.has("first")


async def test_no_timer_is_left_of_tasks_that_fail(dsn: str) -> None:
    """The retry has its timer; after the last attempt there is none."""
    started = Started(dsn)
    async with started.engine:
        job = await started.engine.create_job(
            domain="a.example", handler="note", tasks=[NewTask("flaky")]
        )
        await until(lambda: started.timers() == 1)

        async def failed() -> bool:
            return (await job.info()).failed == 1

        await until(failed)
        await until(lambda: started.timers() == 0)
        assert 1 == started.engine.metrics.value("pacewheel_tasks_woken_total")
        assert 1 == started.engine.metrics.value("pacewheel_wake_up_lag_seconds_count")


async def test_a_task_that_is_told_of_while_its_domain_is_woken_has_its_timer(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement that wakes may not have seen it: its answer takes no timer away."""
    started = Started(dsn)
    engine = started.engine
    held_back: list[Woken] = []
    async with engine:
        wake_tasks = engine.store.tasks.wake_tasks

        async def wake_slowly(domain_ids: Sequence[int], limit: int) -> list[Woken]:
            woken = await wake_tasks(domain_ids, limit)
            if any(answer.woken for answer in woken) and not held_back:
                held_back.extend(woken)
                await started.schedule("second", 1.0)
                await until(lambda: started.timers() == 1)
            return woken

        monkeypatch.setattr(engine.store.tasks, "wake_tasks", wake_slowly)
        await started.schedule("first", 0.3)
        await until(lambda: started.has("first", "second"))
    assert [None] == [answer.wake_in_ms for answer in held_back]


async def test_a_retry_that_is_settled_during_a_claim_keeps_its_timer(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim reads before the settle is committed, and answers after it: nothing waits, it says."""
    started = Started(dsn)
    engine = started.engine
    has_read = asyncio.Event()
    held_back: list[DomainClaim] = []
    async with engine:
        claim_tasks, settle_tasks = engine.store.tasks.claim_tasks, engine.store.tasks.settle_tasks

        async def claim_slowly(*args: Any) -> list[DomainClaim]:
            claims = await claim_tasks(*args)
            if any(args[2].unsettled) and not args[2].running and not held_back:
                held_back.extend(claims)
                has_read.set()
                await until(lambda: started.timers() == 1)
            return claims

        async def settle_later(*args: Any) -> Settled:
            await has_read.wait()
            return await settle_tasks(*args)

        monkeypatch.setattr(engine.store.tasks, "claim_tasks", claim_slowly)
        monkeypatch.setattr(engine.store.tasks, "settle_tasks", settle_later)
        await engine.create_job(domain="a.example", handler="note", tasks=[NewTask("flaky")])
        await until(lambda: started.has("flaky"))
        first = started.at["flaky"]
        await engine.create_job(domain="a.example", handler="note", tasks=[NewTask("other")])
        await until(lambda: started.at["flaky"] > first)
    assert [None] == [claim.wake_in_ms for claim in held_back]


async def test_many_timers_of_one_tick_are_one_statement(dsn: str) -> None:
    """Two hundred domains whose tasks are ready at one instant are woken by a handful of statements."""
    domains = 200
    started = Started(dsn)
    await started.engine.connect()
    for n in range(domains):
        await started.schedule(f"task {n}", 60, f"d{n}.example")
    await execute(dsn, "UPDATE pacewheel.tasks SET ready_at = now() + interval '3 s'")
    await count_from_now(dsn)
    async with started.engine:
        await until(lambda: len(started.at) == domains)
    # Remaining times are told in batches of leases, so the two hundred fall into a few ticks.
    assert sum((await calls(dsn, ONE_STATEMENT)).values()) <= 8
    rows = await fetch(dsn, "SELECT count(*) FROM pacewheel.results")
    assert domains == rows[0][0]


async def test_an_idle_process_sends_less_than_a_query_a_second(dsn: str) -> None:
    """With the default settings but one, after its work is done and its domains are given back.

    Between two runs of the retention, that is: each is a dozen statements an hour.
    """
    started = Started(dsn, sweep_s=60.0, idle_release_s=0.0)
    async with started.engine:
        await execute(dsn, "UPDATE pacewheel.retention SET next_at = now() + interval '1 hour'")
        await started.schedule("soon", 0.1)
        await until(lambda: started.has("soon"))

        async def is_idle() -> bool:
            rows = await fetch(
                dsn, "SELECT count(*) FROM pacewheel.domains WHERE owner IS NOT NULL"
            )
            return bool(rows[0][0] == 0)

        await until(is_idle)
        await count_from_now(dsn)
        began = time.monotonic()
        await asyncio.sleep(10)
        counted = await calls(dsn)
        rate = sum(counted.values()) / (time.monotonic() - began)
        assert rate < 1, counted
