"""The cache of jobs under thousands of orders of events: callers, cancellations, loads, changes."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

from pacewheel import JobFacts
from pacewheel.metrics import Metrics
from pacewheel.ports import InvalidationReason
from tests.job_loads import Bench, facts_of, turns

SCHEDULES = 100_000 if os.environ.get("HYPOTHESIS_PROFILE") == "slow" else 2_000
# Made once: a registry takes longer than a schedule.
METRICS = Metrics()


class Schedule:
    """Callers, cancellations, loads of all ends and changes, in an order that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.bench = Bench(METRICS, jobs_max=2, load=self._load)
        self.versions = dict.fromkeys(range(3), 0)
        self.callers: list[tuple[int, int, asyncio.Task[JobFacts | None]]] = []
        self.read: list[dict[int, int]] = []

    async def _load(self, job_ids: Sequence[int]) -> Mapping[int, JobFacts]:
        self.read.append({job_id: self.versions[job_id] for job_id in job_ids})
        return await self.bench.loads.load(job_ids)

    async def run(self) -> None:
        """Take twenty steps, land what is in the air, and look at every caller."""
        steps: list[Callable[[], Awaitable[None]]] = [
            *[self.call] * 3,
            *[self.land] * 2,
            self.cancel,
            self.change,
            self.turn,
        ]
        for _ in range(20):
            await self.dice.choice(steps)()
        await turns()
        while any(not answer.done() for answer in self.bench.loads.answers):
            await self.land()
            await turns()
        for job_id, floor, caller in self.callers:
            assert caller.done(), f"job {job_id}: a lost wake-up"
            if not caller.cancelled() and caller.exception() is None:
                facts = caller.result()
                assert facts is None or facts.options["version"] >= floor
        assert 0 == self.bench.cache._table.stats()["in_flight"]
        assert {} == self.bench.cache._waiters

    async def call(self) -> None:
        """Somebody asks."""
        job_id = self.dice.randrange(3)
        asking = asyncio.create_task(self.bench.cache.get(job_id))
        self.callers.append((job_id, self.versions[job_id], asking))
        # Runs to its first wait now, so that what it may see is what is so now.
        await asyncio.sleep(0)

    async def cancel(self) -> None:
        """Somebody gives up."""
        if self.callers:
            self.dice.choice(self.callers)[2].cancel()

    async def land(self) -> None:
        """A load ends, one way or another."""
        loads = self.bench.loads
        open_ = [nth for nth, answer in enumerate(loads.answers) if not answer.done()]
        if not open_:
            return
        nth = self.dice.choice(open_)
        match self.dice.randrange(5):
            case 0:
                loads.answers[nth].set_exception(OSError("cut"))
            case 1:
                loads.answers[nth].cancel()
            case 2:
                loads.answers[nth].set_result({})
            case _:
                found = {
                    job_id: facts_of(job_id, version=version)
                    for job_id, version in self.read[nth].items()
                }
                loads.answers[nth].set_result(found)

    async def change(self) -> None:
        """A job changes, or all of them might have."""
        if self.dice.randrange(4) == 0:
            self.versions = {job_id: version + 1 for job_id, version in self.versions.items()}
            self.bench.cache.invalidate_all(InvalidationReason.RECONNECTED)
        else:
            job_id = self.dice.randrange(3)
            self.versions[job_id] += 1
            self.bench.cache.invalidate(job_id, InvalidationReason.CHANGED)

    async def turn(self) -> None:
        """Time passes, and the loop goes round."""
        self.bench.now_ms += self.dice.choice([1, 1_200, 35_000, 70_000])
        await turns(self.dice.randrange(3))


def test_no_schedule_loses_a_wake_up_or_serves_what_is_older_than_a_change() -> None:
    """Thousands of orders of events; HYPOTHESIS_PROFILE=slow tries a hundred thousand."""

    async def run_all() -> None:
        for seed in range(SCHEDULES):
            await Schedule(seed).run()

    asyncio.run(run_all())
