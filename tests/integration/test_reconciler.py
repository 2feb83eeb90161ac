"""The reconciler as a service: what it compares, when, what it publishes, and under full traffic."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from pacewheel import Config, Engine, NewTask, Outcome, Task
from pacewheel.counters import Reconciled
from pacewheel.metrics import Metrics
from pacewheel.services.reconciler import Reconciler
from tests.conftest import execute, fetch, until
from tests.integration.counted_jobs import TRUE, counters, is_clean, mixed_job, reconciled

if TYPE_CHECKING:
    import pytest


class Rounds:
    """A reconciler for worker 1, driven by hand, with metrics of its own."""

    def __init__(self, engine: Engine) -> None:
        self.metrics = Metrics()
        self.pauses: list[float] = []
        self.service = Reconciler(
            store=engine.store.counters,
            metrics=self.metrics,
            worker_id=lambda: 1,
            interval_s=300.0,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def compared(self) -> int:
        """Do one round; return how many jobs it compared."""
        before = self.metrics.value("pacewheel_jobs_reconciled_total")
        await self.service.run_once()
        return round(self.metrics.value("pacewheel_jobs_reconciled_total") - before)


async def later(dsn: str, minutes: int) -> None:
    """Let time pass for the jobs."""
    names = ("reconciled_at", "last_progress_at", "finished_at")
    sets = ", ".join(f"{name} = {name} - interval '{minutes} minutes'" for name in names)
    await execute(dsn, f"UPDATE pacewheel.jobs SET {sets}")


async def test_a_round_compares_what_has_changed_and_a_final_job_once(
    engine: Engine, dsn: str
) -> None:
    """New ones at once, then those that got on, not more often than the interval; ended ones a last time."""
    rounds = Rounds(engine)
    job = await mixed_job(engine, dsn)
    await mixed_job(engine, dsn, "still.example")
    assert [2, 0] == [await rounds.compared() for _ in range(2)]
    moved = f"UPDATE pacewheel.jobs SET last_progress_at = now() WHERE id = {job.id}"
    await execute(dsn, moved)
    assert 0 == await rounds.compared()
    await later(dsn, 10)
    await execute(dsn, moved)
    assert [1, 0] == [await rounds.compared() for _ in range(2)]
    await job.cancel()
    assert 0 == await rounds.compared()
    await later(dsn, 2)
    assert [1, 0] == [await rounds.compared() for _ in range(2)]
    assert 3 <= len(rounds.pauses)


async def test_a_round_leaves_the_domains_of_living_owners_to_them(
    engine: Engine, dsn: str
) -> None:
    """Its own domains, those of the dead and of nobody are its part."""
    for owner in ("mine", "nobody's", "dead one's", "another's"):
        await mixed_job(engine, dsn, owner)
    await execute(
        dsn,
        "INSERT INTO pacewheel.workers (host, pid, version, capacity, lease_until, dead_at)"
        " SELECT 'h', n, '0', 1, now() + interval '1 hour', CASE WHEN n = 2 THEN now() END"
        " FROM generate_series(1, 3) n",
        "UPDATE pacewheel.domains SET owner = CASE name WHEN 'mine' THEN 1 WHEN 'dead one''s' THEN 2"
        " WHEN 'another''s' THEN 3 END",
    )
    assert 3 == await Rounds(engine).compared()


async def test_a_round_publishes_what_it_repaired(
    engine: Engine, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Drift by counter, orphans by kind, and one warning with the figures."""
    rounds = Rounds(engine)
    drifted = await mixed_job(engine, dsn)
    final = await mixed_job(engine, dsn, "final.example")
    await execute(
        dsn,
        f"UPDATE pacewheel.jobs SET completed = completed + 5, failed = 0 WHERE id = {drifted.id}",
        f"UPDATE pacewheel.jobs SET status = 5, finished_at = now() WHERE id = {final.id}",
    )
    value = rounds.metrics.value
    assert 0 == value("pacewheel_drift_total", counter="completed")
    assert 1 == await rounds.service.run_once()
    assert 5 == value("pacewheel_drift_total", counter="completed")
    assert 1 == value("pacewheel_drift_total", counter="failed")
    assert 0 == value("pacewheel_drift_total", counter="pending")
    assert 4 == value("pacewheel_orphans_total", kind="task_of_final_job")
    (line,) = [record.getMessage() for record in caplog.records if "drifted" in record.getMessage()]
    assert f"{drifted.id}: {{'completed': (6, 1), 'failed': (0, 1)}}" in line
    assert "'task_of_final_job': 4" in line


async def test_an_engine_reconciles_by_itself(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """A counter that is wrong while it runs is right soon after."""
    engine = Engine(dsn, config=Config(reconcile_interval_s=0.1))
    await engine.connect()
    # Before it runs: the steps in which the job is made would be drift.
    job = await mixed_job(engine, dsn)
    async with engine:
        await execute(dsn, "UPDATE pacewheel.jobs SET skipped = 9, reconciled_at = NULL")

        async def right() -> bool:
            return await counters(dsn, job.id) == TRUE

        await until(right)

        def drift() -> float:
            return engine.metrics.value("pacewheel_drift_total", counter="skipped")

        await until(lambda: drift() == 7)


async def busy(task: Task) -> Outcome:
    """Retry, discover, fail or complete, as the number of the target says."""
    number = int(task.target.rpartition("-")[2])
    if number % 5 == 0 and task.attempt == 1:
        return Outcome.retry("busy", retry_in_s=0.02)
    if number % 7 == 0 and len(task.target) < 20:
        return Outcome.completed(discovered=[NewTask(f"{task.target}-{n}") for n in (1, 7)])
    return Outcome.failed("odd") if number % 3 == 0 else Outcome.completed()


async def test_counters_under_full_traffic_never_seem_to_drift(dsn: str) -> None:
    """Tasks are enqueued, run, retried, discovered and cancelled; every comparison meanwhile agrees."""
    engine = Engine(dsn, config=Config(capacity=200))
    engine.handler("busy", backoff_s=0.01)(busy)

    async def feed(domain: str) -> None:
        for job_number in itertools.count():
            job = await engine.create_job(domain=domain, handler="busy", concurrency=50)
            for start in range(0, 600, 200):
                await job.enqueue([NewTask(f"t-{n}") for n in range(start, start + 200)])
            if job_number % 3 == 2:
                await job.cancel()
            else:
                await job.finish_discovery()

    results: list[Reconciled] = []

    async def compare(*, repair: bool) -> None:
        while True:
            results.append(await reconciled(engine, dry_run=not repair))

    async with engine:
        feeders = [asyncio.create_task(feed(f"d{n}.example")) for n in range(4)]
        feeders += [asyncio.create_task(compare(repair=repair)) for repair in (True, False)]

        async def is_enough() -> bool:
            (row,) = await fetch(
                dsn, "SELECT count(*), count(DISTINCT outcome) FROM pacewheel.results"
            )
            return len(results) > 20 and row[0] > 2000 and row[1] == 3

        await until(is_enough, timeout_s=120)
        assert [] == [feeder for feeder in feeders if feeder.done()]
        for feeder in feeders:
            feeder.cancel()
        await asyncio.gather(*feeders, return_exceptions=True)

    assert [] == [found for found in results if not is_clean(found)]
