"""The worker pool's bound changes while handlers run: none is disturbed, none is forgotten."""

from __future__ import annotations

import asyncio
import random

import pytest

from pacewheel.metrics import Metrics
from pacewheel.model import Outcome, Task
from pacewheel.registry import Handler
from pacewheel.services.worker_pool import CANCELLED, STREAK_MAX, WorkerPool
from tests.conftest import until


class Bench:
    """A pool, the tasks given to it, and how many of them run and have ended."""

    def __init__(self, capacity: int) -> None:
        self.running = self.most = self.ended = self.submitted = 0
        self.outcomes: list[Outcome | None] = []
        self.let_go = asyncio.Event()
        self.rooms = 0
        self.metrics = Metrics()
        self.pool = WorkerPool(
            capacity=capacity, on_end=self._on_end, on_room=self._on_room, metrics=self.metrics
        )
        self._handler = Handler("hold", self._hold, own_departure=True)

    def _on_end(self, _task: Task, _handler: Handler, outcome: Outcome | None, _ms: float) -> None:
        self.ended += 1
        self.outcomes.append(outcome)

    def _on_room(self) -> None:
        self.rooms += 1

    async def _hold(self, task: Task) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if task.target == "hold":
                await self.let_go.wait()
            else:
                await asyncio.sleep(float(task.target))
        finally:
            self.running -= 1

    def fill(self, target: str = "hold") -> int:
        """Submit a task a free slot, as the dispatcher does; return how many."""
        free = max(0, self.pool.free())
        for number in range(free):
            task = Task(number, 1, 1, "a.example", "hold", target, 0.0, 1, None, {})
            self.pool.submit(task, self._handler)
        self.submitted += free
        self.pool.wake()
        return free


async def test_a_bound_that_rises_is_used_at_once() -> None:
    """Four run; with a bound of ten, six more start, and all end."""
    bench = Bench(4)
    assert 4 == bench.fill()
    await until(lambda: bench.running == 4)
    bench.pool.set_capacity(10)
    assert 6 == bench.fill()
    await until(lambda: bench.running == 10)
    assert 0 == bench.pool.free()
    bench.let_go.set()
    await until(lambda: bench.ended == 10)
    await bench.pool.stop()


async def test_a_bound_that_falls_interrupts_nothing_and_ends_the_workers_beyond_it() -> None:
    """Ten run on; two are left when they have ended, and no more than two run afterwards."""
    bench = Bench(10)
    bench.fill()
    await until(lambda: bench.running == 10)
    bench.pool.set_capacity(2)
    assert 0 == bench.fill()
    assert 10 == bench.running
    bench.let_go.set()
    await until(lambda: bench.ended == 10)
    assert [Outcome.completed()] * 10 == bench.outcomes
    await until(lambda: len(bench.pool._workers) == 2)
    bench.most = 0
    bench.let_go.clear()
    assert 2 == bench.fill()
    await until(lambda: bench.running == 2)
    bench.let_go.set()
    await until(lambda: bench.ended == 12)
    assert 2 == bench.most
    await bench.pool.stop()


async def test_idle_workers_beyond_a_lower_bound_end() -> None:
    """They need no task to notice."""
    bench = Bench(10)
    bench.fill()
    await until(lambda: bench.running == 10)
    bench.let_go.set()
    await until(lambda: bench.ended == 10)
    assert 10 == len(bench.pool._workers)
    bench.pool.set_capacity(3)
    await until(lambda: len(bench.pool._workers) == 3)
    assert 3 == bench.fill()
    await until(lambda: bench.ended == 13)
    await bench.pool.stop()


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_the_bound_does_every_task_runs(seed: int) -> None:
    """Bounds and loads that change at random: nothing hangs, and no bound is ever exceeded by a start."""
    rng = random.Random(seed)
    bench = Bench(rng.randrange(1, 20))
    for _ in range(300):
        capacity = rng.randrange(1, 20)
        bench.pool.set_capacity(capacity)
        before = bench.pool._busy()
        bench.fill(rng.choice(["0", "0.001", "0.003"]))
        assert bench.pool._busy() <= max(before, capacity)
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)
    await asyncio.wait_for(bench.pool.all_ended(), 60)
    assert bench.submitted == bench.ended
    assert all(outcome is not None for outcome in bench.outcomes)
    bench.pool.set_capacity(1)
    await until(lambda: len(bench.pool._workers) == 1)
    await bench.pool.stop()


async def test_room_is_told_when_the_queue_has_shrunk() -> None:
    """While many wait to start nothing is free; once they run nobody but the pool knows of the room."""
    bench = Bench(8)
    for number in range(4):
        task = Task(number, 1, 1, "a.example", "hold", "hold", 0.0, 1, None, {})
        bench.pool.submit(task, bench._handler)
    assert (0, 4) == (bench.pool.free(), bench.pool.spare())
    bench.pool.wake()
    await until(lambda: bench.running == 4)
    assert (1, 4) == (bench.rooms, bench.pool.free())
    bench.let_go.set()
    await until(lambda: bench.ended == 4)
    await bench.pool.stop()


async def test_the_most_slots_in_use_are_kept_until_they_are_asked_for() -> None:
    """A burst between two looks is seen by the second, and not by the third."""
    bench = Bench(8)
    bench.fill("0")
    await until(lambda: bench.ended == 8)
    assert 8 == bench.pool.take_busy_max()
    assert 0 == bench.pool.take_busy_max()
    await bench.pool.stop()


async def test_a_handler_that_stops_its_own_task_harms_no_other() -> None:
    """Its cancellation comes too late for it, and must not reach what its worker runs next."""
    bench = Bench(2)

    async def stop_itself(task: Task) -> None:
        bench.pool.stop_tasks(CANCELLED, task_ids=[task.id])

    async def wait(_task: Task) -> None:
        await asyncio.sleep(0)

    for number, function in enumerate((stop_itself, wait)):
        task = Task(number, 1, 1, "a.example", "hold", "", 0.0, 1, None, {})
        bench.pool.submit(task, Handler("hold", function, own_departure=True))
    bench.pool.wake()
    await until(lambda: bench.ended == 2)
    assert [None, Outcome.completed()] == bench.outcomes
    await bench.pool.stop()


async def test_handlers_that_never_wait_are_run_by_few_workers() -> None:
    """A worker wakes one other and no more until that one has looked: a burst costs no wake-up a task."""
    bench = Bench(1000)
    bench.let_go.set()
    for _ in range(5):
        bench.fill()
        await asyncio.wait_for(bench.pool.all_ended(), 60)
    assert 5000 == bench.ended
    assert len(bench.pool._workers) <= 1000 // STREAK_MAX + 1
    await bench.pool.stop()
