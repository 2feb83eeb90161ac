"""Counters against rows: every kind of drift is found and repaired, and nothing right is touched."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pacewheel import Config, Engine, JobState, NewTask, Outcome, Task
from pacewheel.engine import Job
from pacewheel.metrics import Metrics
from pacewheel.model import COUNTERS, OrphanKind, Reconciled
from pacewheel.services.reconciler import Reconciler
from tests.conftest import execute, fetch, until

# Ten tasks in every state a row can have, counters as they should be: total, pending, waiting and
# backoff, then the final ones.
TRUE = (10, 1, 3, 2, 1, 1, 2, 2)
HANDLER = "none"


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[Engine]:
    """An engine that is connected and runs nothing."""
    made = Engine(dsn)
    await made.connect()
    yield made
    await made.close()


async def mixed_job(engine: Engine, dsn: str, domain: str = "a.example") -> Job:
    """A live job with tasks in every state, and counters that say so."""
    tasks = [NewTask(f"t{number}") for number in range(10)]
    job = await engine.create_job(domain=domain, handler=HANDLER, tasks=tasks)
    columns = ", ".join(f"{name} = {number}" for name, number in zip(COUNTERS, TRUE, strict=True))
    await execute(
        dsn,
        "UPDATE pacewheel.tasks t SET status = (ARRAY[0,1,1,1,3,4,5,5,6,6])[1 + substr(target, 2)::int],"
        " ready_at = CASE WHEN target IN ('t1', 't2', 't3') THEN now() + interval '1 hour' END,"
        " waiting_reason = CASE target WHEN 't1' THEN 0 WHEN 't2' THEN 0 WHEN 't3' THEN 1 END"
        f" WHERE job_id = {job.id}",
        f"UPDATE pacewheel.jobs SET status = 1, {columns} WHERE id = {job.id}",
    )
    return job


async def counters(dsn: str, job_id: int) -> tuple[int, ...]:
    """A job's counters as they are kept."""
    query = f"SELECT {', '.join(COUNTERS)} FROM pacewheel.jobs WHERE id = $1"
    return tuple((await fetch(dsn, query, job_id))[0])


async def live_tasks(dsn: str) -> int:
    """How many live tasks there are."""
    number: int = (await fetch(dsn, "SELECT count(*) FROM pacewheel.tasks WHERE status < 2"))[0][0]
    return number


def is_clean(found: Reconciled) -> bool:
    """Whether nothing was found."""
    return found.drifts == [] and found.orphans == {}


async def test_a_job_in_order_is_left_alone(engine: Engine, dsn: str) -> None:
    """Nothing is found and its row keeps its counters."""
    job = await mixed_job(engine, dsn)
    found = await engine.reconcile()
    assert is_clean(found)
    assert 1 == found.jobs
    assert await counters(dsn, job.id) == TRUE


@pytest.mark.parametrize("counter", COUNTERS)
async def test_every_wrong_counter_is_found_and_repaired(
    engine: Engine, dsn: str, counter: str
) -> None:
    """A dry run says the same and changes nothing; afterwards there is nothing to find."""
    job = await mixed_job(engine, dsn)
    await mixed_job(engine, dsn, "other.example")
    await execute(dsn, f"UPDATE pacewheel.jobs SET {counter} = {counter} + 7 WHERE id = {job.id}")
    true = TRUE[COUNTERS.index(counter)]
    dry = await engine.reconcile(dry_run=True)
    assert true + 7 == (await counters(dsn, job.id))[COUNTERS.index(counter)]
    found = await engine.reconcile()

    for each in (dry, found):
        assert [(job.id, {counter: (true + 7, true)})] == [
            (drift.job_id, drift.counters) for drift in each.drifts
        ]
        assert {} == each.orphans
    assert await counters(dsn, job.id) == TRUE
    assert is_clean(await engine.reconcile())


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ("DELETE FROM pacewheel.tasks", (0,) * 8),
        ("DELETE FROM pacewheel.tasks WHERE target = 't4'", (9, 1, 3, 2, 0, 1, 2, 2)),
        ("UPDATE pacewheel.tasks SET status = 4 WHERE target = 't4'", (10, 1, 3, 2, 0, 2, 2, 2)),
        ("UPDATE pacewheel.tasks SET waiting_reason = 1 WHERE status = 1", (10, 1, 3, 0, 1, 1, 2, 2)),
    ],
)
async def test_rows_changed_behind_the_counters_are_found(
    engine: Engine, dsn: str, change: str, after: tuple[int, ...]
) -> None:
    """The rows are the truth, also when there are none any more."""
    job = await mixed_job(engine, dsn)
    await execute(dsn, change)
    found = await engine.reconcile(job.id)
    assert [job.id] == [drift.job_id for drift in found.drifts]
    assert await counters(dsn, job.id) == after


async def test_only_the_job_asked_for_is_repaired(engine: Engine, dsn: str) -> None:
    """Its neighbour in the same domain is read with it and left alone."""
    job, other = await mixed_job(engine, dsn), await mixed_job(engine, dsn)
    await execute(dsn, "UPDATE pacewheel.jobs SET failed = 0")
    found = await engine.reconcile(job.id)
    assert [job.id] == [drift.job_id for drift in found.drifts]
    assert 0 == (await counters(dsn, other.id))[COUNTERS.index("failed")]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_live_tasks_of_a_final_job_are_cancelled_and_counted(
    engine: Engine, dsn: str, status: str
) -> None:
    """What an ended job left behind ends with it, and its counters follow."""
    job = await mixed_job(engine, dsn)
    number = JobState[status.upper()].value
    await execute(dsn, f"UPDATE pacewheel.jobs SET status = {number}, finished_at = now()")
    dry = await engine.reconcile(dry_run=True)
    assert 4 == await live_tasks(dsn)
    found = await engine.reconcile()
    assert {OrphanKind.TASK_OF_FINAL_JOB: 4} == found.orphans == dry.orphans
    assert [] == found.drifts
    assert 0 == await live_tasks(dsn)
    assert (10, 0, 0, 0, 1, 1, 2, 6) == await counters(dsn, job.id)
    assert is_clean(await engine.reconcile())


async def test_more_orphans_than_a_statement_takes_are_all_cancelled(
    engine: Engine, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement has a limit; short batches end the loop."""
    monkeypatch.setattr("pacewheel.services.reconciler.ORPHANS_MAX", 3)
    await mixed_job(engine, dsn)
    await execute(dsn, "UPDATE pacewheel.jobs SET status = 5, finished_at = now()")
    assert {OrphanKind.TASK_OF_FINAL_JOB: 4} == (await engine.reconcile()).orphans
    assert 0 == await live_tasks(dsn)


async def test_live_tasks_without_a_job_are_cancelled_and_counted(
    engine: Engine, dsn: str
) -> None:
    """Pending ones, and waiting ones once they are due and nobody wakes them."""
    await mixed_job(engine, dsn)
    await execute(
        dsn,
        "DELETE FROM pacewheel.jobs",
        "UPDATE pacewheel.tasks SET ready_at = now() - interval '1 hour' WHERE status = 1",
    )
    assert {OrphanKind.TASK_WITHOUT_JOB: 4} == (await engine.reconcile(dry_run=True)).orphans
    assert {OrphanKind.TASK_WITHOUT_JOB: 4} == (await engine.reconcile()).orphans
    assert 0 == await live_tasks(dsn)
    assert is_clean(await engine.reconcile())


@pytest.mark.parametrize("status", [0, 1])
async def test_a_lone_orphan_of_a_job_compared_long_ago_is_found(
    engine: Engine, dsn: str, status: int
) -> None:
    """Among thousands of other tasks, pending or overdue, by a look that steps from job to job."""
    gone = await mixed_job(engine, dsn)
    await gone.cancel()
    for number in range(30):
        tasks = [NewTask(f"x{n}") for n in range(30)]
        await engine.create_job(domain=f"d{number}.example", handler=HANDLER, tasks=tasks)
    await execute(
        dsn,
        f"UPDATE pacewheel.tasks SET status = {status}, ready_at = now() - interval '1 hour',"
        f" waiting_reason = CASE WHEN {status} = 1 THEN 0 END WHERE job_id = {gone.id} AND target = 't1'",
    )
    assert [gone.id] == [job for _, job in await engine.store.counters.find_orphans(10)]


async def test_a_job_that_should_have_ended_is_ended_and_counted(engine: Engine, dsn: str) -> None:
    """Its tasks are final and its discovery is finished, only nobody closed it."""
    job = await mixed_job(engine, dsn)
    await execute(
        dsn,
        "UPDATE pacewheel.tasks SET status = 3, ready_at = NULL, waiting_reason = NULL",
        "UPDATE pacewheel.jobs SET total = 10, pending = 0, waiting = 0, backoff = 0, completed = 10,"
        " failed = 0, skipped = 0, cancelled = 0, discovery_open = false",
    )
    dry = await engine.reconcile(dry_run=True)
    assert JobState.RUNNING is (await job.info()).status
    found = await engine.reconcile()
    assert {OrphanKind.JOB_NOT_ENDED: 1} == found.orphans == dry.orphans
    assert JobState.COMPLETED is (await job.info()).status
    assert is_clean(await engine.reconcile())


async def test_a_job_kept_open_by_a_wrong_counter_is_repaired_and_ended(
    engine: Engine, dsn: str
) -> None:
    """Drift first, then the end that it had held up; an open discovery holds it up for good."""
    stuck, open_job = await mixed_job(engine, dsn), await mixed_job(engine, dsn, "b.example")
    await execute(
        dsn,
        "UPDATE pacewheel.tasks SET status = 3, ready_at = NULL, waiting_reason = NULL",
        f"UPDATE pacewheel.jobs SET discovery_open = (id = {open_job.id})",
    )
    found = await engine.reconcile()
    assert 2 == len(found.drifts)
    assert {OrphanKind.JOB_NOT_ENDED: 1} == found.orphans
    assert JobState.COMPLETED is (await stuck.info()).status
    assert JobState.RUNNING is (await open_job.info()).status


async def test_what_is_in_flight_where_nobody_owns_the_domain_is_pending(
    engine: Engine, dsn: str
) -> None:
    """The ids are cleared and counted; those of an owned domain stay."""
    await mixed_job(engine, dsn, "owned.example")
    await mixed_job(engine, dsn, "free.example")
    await execute(
        dsn,
        "UPDATE pacewheel.domains d SET in_flight = ARRAY(SELECT t.id FROM pacewheel.tasks t"
        " WHERE t.domain_id = d.id AND t.status = 0), owner = CASE name WHEN 'owned.example' THEN 1 END",
    )
    assert {OrphanKind.IN_FLIGHT_WITHOUT_OWNER: 1} == (await engine.reconcile(dry_run=True)).orphans
    assert {OrphanKind.IN_FLIGHT_WITHOUT_OWNER: 1} == (await engine.reconcile()).orphans
    rows = await fetch(dsn, "SELECT name, cardinality(in_flight) FROM pacewheel.domains ORDER BY 1")
    assert [("free.example", 0), ("owned.example", 1)] == [tuple(row) for row in rows]


async def test_tasks_that_a_wrong_counter_hid_are_run_as_soon_as_it_is_repaired(dsn: str) -> None:
    """A claim passes over a job that says it has nothing pending; the repair has its owner look."""
    engine = Engine(dsn)
    seen: list[str] = []

    @engine.handler("note")
    async def note(task: Task) -> None:
        seen.append(task.target)

    async with engine:
        job = await engine.create_job(domain="a.example", handler="note", tasks=[NewTask("first")])
        await until(lambda: seen == ["first"])
        await until(lambda: engine._runtime is not None and not engine._runtime.unsettled())
        await execute(
            dsn,
            "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target)"
            " SELECT domain_id, 1, id, 0, now(), 0, 'hidden' FROM pacewheel.jobs",
        )
        found = await engine.reconcile(job.id)
        assert {"total": (1, 2), "pending": (0, 1)} == found.drifts[0].counters
        await until(lambda: seen == ["first", "hidden"])


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
    assert 0 == value("pacewheel_counter_drift_total", counter="completed")
    assert 1 == await rounds.service.run_once()
    assert 5 == value("pacewheel_counter_drift_total", counter="completed")
    assert 1 == value("pacewheel_counter_drift_total", counter="failed")
    assert 0 == value("pacewheel_counter_drift_total", counter="pending")
    assert 4 == value("pacewheel_orphans_total", kind="task_of_final_job")
    (line,) = [record.getMessage() for record in caplog.records if "drifted" in record.msg]
    assert f"{drifted.id}: {{'completed': (6, 1), 'failed': (0, 1)}}" in line
    assert "'task_of_final_job': 4" in line


async def test_an_engine_reconciles_by_itself(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    """A counter that is wrong while it runs is right soon after."""
    engine = Engine(dsn, config=Config(reconcile_interval_s=0.1))
    async with engine:
        job = await mixed_job(engine, dsn)
        await execute(dsn, "UPDATE pacewheel.jobs SET skipped = 9, reconciled_at = NULL")

        async def right() -> bool:
            return await counters(dsn, job.id) == TRUE

        await until(right)

        def drift() -> float:
            return engine.metrics.value("pacewheel_counter_drift_total", counter="skipped")

        await until(lambda: drift() == 7)


async def test_counters_under_full_traffic_never_seem_to_drift(dsn: str) -> None:
    """Tasks are enqueued, run, retried, discovered and cancelled; every comparison meanwhile agrees."""
    engine = Engine(dsn, config=Config(capacity=200))

    @engine.handler("busy", backoff_s=0.01)
    async def busy(task: Task) -> Outcome:
        number = int(task.target.rpartition("-")[2])
        if number % 5 == 0 and task.attempt == 1:
            return Outcome.retry("busy", retry_in_s=0.02)
        if number % 7 == 0 and len(task.target) < 20:
            return Outcome.completed(discovered=[NewTask(f"{task.target}-{n}") for n in (1, 7)])
        return Outcome.failed("odd") if number % 3 == 0 else Outcome.completed()

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

    async def compare(repair: Any) -> None:
        while True:
            results.append(await engine.reconcile(dry_run=not repair))

    async with engine:
        feeders = [asyncio.create_task(feed(f"d{n}.example")) for n in range(4)]
        feeders += [asyncio.create_task(compare(repair)) for repair in (True, False)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*feeders), 4)

    assert 20 < len(results)
    assert [] == [found for found in results if not is_clean(found)]
    rows = await fetch(dsn, "SELECT count(*), count(DISTINCT outcome) FROM pacewheel.results")
    assert rows[0][0] > 2000
    assert 3 == rows[0][1]
