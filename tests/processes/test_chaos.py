"""Processes killed at random while work comes in and is called off: nothing is lost, nothing left."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter

import pytest

from pacewheel import Engine, NewTask
from pacewheel.engine import Job
from pacewheel.errors import JobFinal
from tests.conftest import fetch
from tests.integration.counted_jobs import is_clean, reconciled
from tests.processes.fleet import Fleet, count, send, wait_for_exit

PROCESSES = 4
DOMAINS = [f"d{number}.example" for number in range(8)]
KILLS = 14
CANCELLED = 3
KILL_EVERY_S = 0.5
RECONCILE_INTERVAL_S = 0.2


class Customers:
    """Who creates jobs, feeds them, closes them and calls them off, and remembers what was accepted."""

    def __init__(self, engine: Engine, rng: random.Random) -> None:
        self._engine = engine
        self._rng = rng
        self.accepted: dict[int, set[str]] = {}
        self.cancelled = 0
        self._open: list[Job] = []

    async def act(self) -> None:
        """Do one thing."""
        if len(self._open) < len(DOMAINS):
            job = await self._engine.create_job(
                domain=self._rng.choice(DOMAINS), handler="work", concurrency=8
            )
            self._open.append(job)
            self.accepted[job.id] = set()
        job = self._rng.choice(self._open)
        what = self._rng.random()
        if what < 0.8:
            await self._feed(job)
        elif what < 0.9:
            self._open.remove(job)
            await job.finish_discovery()
        else:
            self._open.remove(job)
            await job.cancel()
            self.cancelled += 1

    async def _feed(self, job: Job) -> None:
        known = self.accepted[job.id]
        tasks = [
            NewTask(
                f"t{len(known) + number}",
                payload={"hold_ms": self._rng.choice([0, 5, 50])},
                ready_in_s=0.1 if self._rng.random() < 0.2 else None,
            )
            for number in range(self._rng.randrange(1, 40))
        ]
        assert len(tasks) == (await job.enqueue(tasks)).inserted
        known.update(task.target for task in tasks)

    async def leave(self) -> None:
        """Close what is open."""
        for job in self._open:
            try:
                await job.finish_discovery()
            except JobFinal:
                pytest.fail(f"{job} ended before its discovery did")


async def test_random_kills_leave_no_drift_no_orphan_and_lose_nothing(
    fleet: Fleet, dsn: str
) -> None:
    """Every accepted task is final, once; counters were right all the time, as the reconcilers saw it."""
    rng = random.Random(4)
    engine = Engine(dsn)
    await engine.connect()
    customers = Customers(engine, rng)
    processes = [fleet.start(reconcile_interval_s=RECONCILE_INTERVAL_S) for _ in range(PROCESSES)]
    kills = 0

    def goes_on() -> bool:
        # Whoever feeds looks at it, and is not cut off: that would leave open whether the last
        # tasks were accepted.
        return kills < KILLS or customers.cancelled < CANCELLED

    async def kill_now_and_then() -> None:
        nonlocal kills
        while goes_on():
            await asyncio.sleep(KILL_EVERY_S * rng.uniform(0.5, 1.5))
            victim = processes.pop(rng.randrange(len(processes)))
            send(victim, signal.SIGKILL)
            wait_for_exit(victim)
            kills += 1
            processes.append(fleet.start(reconcile_interval_s=RECONCILE_INTERVAL_S))

    async def feed() -> None:
        while goes_on():
            await customers.act()
            await asyncio.sleep(0.01)

    try:
        await asyncio.gather(kill_now_and_then(), feed())
        await customers.leave()
        await fleet.until_all_settled()
        found = await reconciled(engine)
    finally:
        await engine.close()

    assert is_clean(found), found
    assert len(customers.accepted) == found.jobs
    rows = await fetch(dsn, "SELECT job_id, target FROM pacewheel.tasks WHERE status > 2")
    final = Counter((row["job_id"], row["target"]) for row in rows)
    assert final == {(job, task): 1 for job, tasks in customers.accepted.items() for task in tasks}
    twice = await fetch(
        dsn,
        "SELECT job_id, task_id FROM pacewheel.results WHERE outcome > 2 GROUP BY 1, 2 HAVING count(*) > 1",
    )
    assert [] == twice
    assert "drifted" not in fleet.end()
    assert 0 < await count(
        dsn, "SELECT count(*) FROM pacewheel.jobs WHERE reconciled_at IS NOT NULL"
    )
