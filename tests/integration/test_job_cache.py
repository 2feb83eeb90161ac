"""The cache of jobs on a real database: how many statements it costs, and who hears of a change."""

from __future__ import annotations

import asyncio
import importlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from pacewheel import Engine, JobFacts, JobState, NewTask, Task
from pacewheel.errors import JobFinal, JobUnknown, LoadFailed, StoreUnavailable
from pacewheel.ports import InvalidationReason
from pacewheel.service import CRASHES_IN_A_ROW_MAX
from pacewheel.store.queries import load_queries
from tests.conftest import execute, until

if TYPE_CHECKING:
    import asyncpg

pool_module = importlib.import_module("pacewheel.store.pool")
NAMES = {text: name for name, text in load_queries().items()}


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each statement was run by the store's connections, by name."""
    counts: Counter[str] = Counter()
    set_up = pool_module._set_up

    async def set_up_and_note(connection: asyncpg.Connection) -> None:
        await set_up(connection)
        connection.add_query_logger(lambda record: counts.update([NAMES.get(record.query, "-")]))

    monkeypatch.setattr(pool_module, "_set_up", set_up_and_note)
    return counts


def noting(engine: Engine) -> list[tuple[str, int]]:
    """Register a handler that notes each task's target and its job's option `version`."""
    seen: list[tuple[str, int]] = []

    @engine.handler("note")
    async def note(task: Task) -> None:
        seen.append((task.target, task.options.get("version", 0)))

    return seen


def counted(engine: Engine, name: str, **labels: str) -> float:
    """A metric of the engine's cache now."""
    return engine.metrics.value(f"pacewheel_job_cache_{name}", **labels)


async def knows(engine: Engine, job_id: int) -> JobFacts:
    """Ask until the answer stays: the listener forgets everything once, when it has connected."""
    await until(lambda: counted(engine, "invalidations_total", reason="reconnected") >= 1)
    facts = await engine.job_cache.get(job_id)
    assert facts is not None
    assert engine.job_cache.peek(job_id) is facts
    return facts


async def test_fifty_callers_at_once_are_one_query(dsn: str, executed: Counter[str]) -> None:
    """And all of them get what the row says."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(
        domain="a.example", handler="note", concurrency=3, max_tasks=9, options={"deep": [1]}
    )
    answers = await asyncio.gather(*(engine.job_cache.get(job.id) for _ in range(50)))
    await engine.close()

    assert 1 == executed["get_job_facts"]
    expected = JobFacts(job.id, 1, "note", JobState.PENDING, 3, 9, {"deep": [1]})
    assert [expected] * 50 == answers


async def test_a_claim_of_many_new_jobs_and_their_handlers_are_one_query(
    dsn: str, executed: Counter[str]
) -> None:
    """Claim preparation asks for all at once; the handlers then ask nothing."""
    engine = Engine(dsn)
    told: list[JobFacts | None] = []

    @engine.handler("tell")
    async def tell(task: Task) -> None:
        told.append(await task.job())

    await engine.connect()
    jobs = [
        await engine.create_job(
            domain=f"{n}.example", handler="tell", tasks=[NewTask("x")], discovery_open=False
        )
        for n in range(20)
    ]
    await engine.run_until_idle()

    assert {job.id for job in jobs} == {facts.id for facts in told if facts is not None}
    # The listener may forget everything once, in the middle.
    assert executed["get_job_facts"] <= 2


async def test_a_final_job_is_refused_the_second_time_without_a_query(
    dsn: str, executed: Counter[str]
) -> None:
    """The first refusal is the database's, and is remembered: a final job stays final."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note")
    await job.cancel()
    with pytest.raises(JobFinal, match="is cancelled"):
        await job.enqueue([NewTask("x")])
    before = executed.total()
    with pytest.raises(JobFinal, match="is cancelled"):
        await job.enqueue([NewTask("x")] * 5_000)
    assert before == executed.total()
    await engine.close()


async def test_a_job_that_was_unknown_takes_tasks_as_soon_as_it_is_created(dsn: str) -> None:
    """The database decides, whoever created it meanwhile: that it was unknown refuses nothing."""
    engine, other = Engine(dsn), Engine(dsn)
    await engine.connect()
    await other.connect()
    for each in (engine, other):
        for _ in range(2):
            with pytest.raises(JobUnknown, match="there is no job 1"):
                await each.enqueue(1, [NewTask("early")])
    job = await engine.create_job(domain="a.example", handler="note")
    assert 1 == job.id
    assert 1 == (await job.enqueue([NewTask("late")])).inserted
    assert 1 == counted(engine, "invalidations_total", reason="created")
    assert 1 == (await other.enqueue(1, [NewTask("later")])).inserted
    await engine.close()
    await other.close()


async def test_a_claimed_job_exists_whatever_the_cache_was_told(dsn: str) -> None:
    """A job that was looked for before another process created it is run all the same."""
    maker, runner = Engine(dsn), Engine(dsn)
    seen = noting(runner)
    await maker.connect()
    async with runner:
        await until(lambda: counted(runner, "invalidations_total", reason="reconnected") >= 1)
        assert await runner.job_cache.get(1) is None
        await maker.create_job(domain="a.example", handler="note", tasks=[NewTask("x")])
        await until(lambda: seen == [("x", 0)])
    await maker.close()


async def test_a_change_by_another_process_is_seen_by_its_hint(dsn: str) -> None:
    """Long before the value's time has passed: the next task sees the new options."""
    maker, runner = Engine(dsn), Engine(dsn)
    seen = noting(runner)
    await maker.connect()
    job = await maker.create_job(domain="a.example", handler="note", options={"version": 1})
    async with runner:
        await job.enqueue([NewTask("before")])
        await until(lambda: seen == [("before", 1)])
        await knows(runner, job.id)
        await execute(
            dsn,
            f"""UPDATE pacewheel.jobs SET options = '{{"version": 2}}' WHERE id = {job.id};
                NOTIFY pacewheel, 'changed {job.id}'""",
        )
        await until(lambda: runner.job_cache.peek(job.id) is None)
        await job.enqueue([NewTask("after")])
        await until(lambda: seen == [("before", 1), ("after", 2)])
    await maker.close()

    assert 1 == counted(runner, "invalidations_total", reason="changed")


async def test_a_cancellation_by_another_process_is_seen_by_its_hint(dsn: str) -> None:
    """Each engine that knew the job forgets it, with the reason."""
    one, other = Engine(dsn), Engine(dsn)
    async with one, other:
        job = await one.create_job(domain="a.example", handler="note")
        assert JobState.PENDING is (await knows(other, job.id)).status
        await job.cancel()
        await until(lambda: other.job_cache.peek(job.id) is None)
        facts = await other.job_cache.get(job.id)
        assert facts is not None
        assert JobState.CANCELLED is facts.status
    assert 1 == counted(other, "invalidations_total", reason="cancelled")


async def test_a_listener_that_was_cut_off_forgets_everything(dsn: str) -> None:
    """What happened meanwhile was not heard."""
    engine = Engine(dsn)
    async with engine:
        job = await engine.create_job(domain="a.example", handler="note", options={"version": 1})
        await knows(engine, job.id)
        await execute(
            dsn,
            f"UPDATE pacewheel.jobs SET options = '{{\"version\": 2}}' WHERE id = {job.id}",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        await until(lambda: counted(engine, "invalidations_total", reason="reconnected") >= 2)
        facts = await engine.job_cache.get(job.id)
        assert facts is not None
        assert {"version": 2} == facts.options


async def test_a_job_that_ends_with_its_discovery_is_forgotten(dsn: str) -> None:
    """The process that ends it does not wait for its own hint."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note")
    await engine.job_cache.get(job.id)
    await job.finish_discovery()
    facts = await engine.job_cache.get(job.id)
    assert facts is not None
    assert JobState.COMPLETED is facts.status
    assert 1 == counted(engine, "invalidations_total", reason="ended")
    await engine.close()


async def test_claiming_waits_for_a_database_that_only_fails_its_loads(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unavailable database is no defect of the dispatcher, however often it is met."""
    engine = Engine(dsn)
    seen = noting(engine)
    await engine.connect()
    jobs = engine.store.jobs
    get_job_facts = jobs.get_job_facts
    failures = iter(range(CRASHES_IN_A_ROW_MAX + 1))

    async def fail_at_first(job_ids: Sequence[int]) -> dict[int, JobFacts]:
        if next(failures, None) is not None:
            raise StoreUnavailable("cut on purpose")
        return await get_job_facts(job_ids)

    monkeypatch.setattr(jobs, "get_job_facts", fail_at_first)
    with pytest.raises(LoadFailed, match="cut on purpose"):
        await engine.job_cache.get(1)
    job = await engine.create_job(domain="a.example", handler="note", tasks=[NewTask("x")])
    await job.finish_discovery()
    await engine.run_until_idle()

    assert [("x", 0)] == seen
    assert next(failures, None) is None


def test_the_reasons_are_a_closed_set() -> None:
    """Labels of a metric, so nothing else may come."""
    assert {"changed", "cancelled", "created", "ended", "reconnected"} == set(InvalidationReason)
