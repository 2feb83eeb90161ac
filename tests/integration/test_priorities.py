"""Raises of priorities on a real database: from an outcome or a call to the row of the task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from pacewheel import Config, Engine, NewTask, Outcome, Task
from pacewheel.engine import Job
from pacewheel.errors import DataRefused, JobFinal
from tests.conftest import PROMPT, execute, fetch, until, waits_for_a_lock

SLOW = Config(**PROMPT, warm_raise_s=3600.0, cold_raise_s=3600.0)


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outbox is read again after half a second."""
    monkeypatch.setattr("pacewheel.services.propagator.LOAD_PAUSE_S", 0.5)


async def priorities(dsn: str) -> dict[str, float]:
    """Return each task's priority by target."""
    return dict(await fetch(dsn, "SELECT target, priority FROM pacewheel.tasks"))


async def outbox(dsn: str) -> dict[str, float]:
    """Return what stands in the outbox, by target."""
    return dict(
        await fetch(
            dsn,
            "SELECT t.target, p.priority FROM pacewheel.priority_updates p"
            " JOIN pacewheel.tasks t ON t.domain_id = p.domain_id AND t.id = p.task_id",
        )
    )


def has(dsn: str, expected: dict[str, float]) -> Callable[[], Any]:
    """Return a condition: tasks have exactly these priorities."""

    async def tasks_have_the_priorities() -> bool:
        found = await priorities(dsn)
        return {target: found.get(target) for target in expected} == expected

    return tasks_have_the_priorities


def parent_engine(
    dsn: str, outcome: Callable[[], Outcome], config: Config | None = None
) -> tuple[Engine, list[str]]:
    """Return an engine whose task `parent` has this outcome, and the list of what ended there."""
    engine = Engine(dsn, config=config or Config(**PROMPT))
    ended: list[str] = []

    @engine.handler("note")
    async def note(task: Task) -> Outcome:
        ended.append(task.target)
        return outcome() if task.target == "parent" else Outcome.completed()

    return engine, ended


async def family(engine: Engine, **children: float) -> Job:
    """Create a job whose task `parent` runs at once, and whose children are an hour away."""
    tasks = [NewTask("parent", priority=2.0)]
    tasks += [NewTask(name, priority=of, ready_in_s=3600) for name, of in children.items()]
    return await engine.create_job(domain="a.example", handler="note", tasks=tasks)


@asynccontextmanager
async def locked_job(dsn: str, job_id: int) -> AsyncIterator[None]:
    """Hold a job's row locked by another connection."""
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT FROM pacewheel.jobs WHERE id = $1 FOR UPDATE", job_id)
    try:
        yield
    finally:
        await transaction.rollback()
        await connection.close()


async def started(engine: Engine) -> None:
    """Wait until the engine listens and has looked at all there is."""
    await until(lambda: engine.metrics.value("pacewheel_listener_up") == 1)


async def test_a_known_task_discovered_with_a_higher_priority_is_raised(dsn: str) -> None:
    """Hot at once, within a turn of the loop; a lower or an equal one changes nothing."""
    engine, _ = parent_engine(
        dsn,
        lambda: Outcome.completed(
            discovered=[
                NewTask("up", priority=0.9),
                NewTask("same", priority=0.9),
                NewTask("down", priority=0.1),
                NewTask("new", priority=0.3),
            ]
        ),
    )
    async with engine:
        await started(engine)
        await family(engine, up=0.1, same=0.9, down=0.5)
        await until(has(dsn, {"up": 0.9, "same": 0.9, "down": 0.5}))
        assert {} == await outbox(dsn)
        value = engine.metrics.value
        # The look at the outbox may find a raise that is being written: delivery is at least once.
        assert 1 <= value("pacewheel_raises_total", tier="hot")
        assert 1 == value("pacewheel_raise_outcomes_total", outcome="written")
        assert 2 <= value("pacewheel_raise_outcomes_total", outcome="suppressed_database")
        assert 1 <= value("pacewheel_raise_flushes_total", cause="mandatory")
        assert 1 <= value("pacewheel_raise_age_seconds_count", tier="hot")


async def test_an_outcome_may_raise_tasks_by_key(dsn: str) -> None:
    """Live ones of its job, those it has just discovered too; unknown keys are ignored."""
    engine, _ = parent_engine(
        dsn,
        lambda: Outcome.completed(
            discovered=[NewTask("new", priority=0.1, ready_in_s=3600)],
            raises={"known": 0.95, "new": 1.0, "nobody": 1.0},
        ),
    )
    await engine.connect()
    await family(engine, known=0.1)
    async with engine:
        await until(has(dsn, {"known": 0.95, "new": 1.0}))


async def test_of_several_offers_of_one_new_task_the_highest_counts(dsn: str) -> None:
    """Two pages that are settled together link to the same new page."""
    engine, _ = parent_engine(dsn, Outcome.completed)
    await engine.connect()
    job = await family(engine)
    offers = [NewTask("new", priority=priority) for priority in (0.3, 0.7, 0.5)]
    counts = await job.enqueue(offers)
    assert (1, 2) == (counts.inserted, counts.known)
    assert 0.7 == (await priorities(dsn))["new"]
    assert {} == await outbox(dsn)
    await engine.close()


async def test_a_call_raises_tasks_and_says_what_became_of_it(dsn: str) -> None:
    """The outbox holds it until an owner has written it; a final job is refused."""
    engine, ended = parent_engine(dsn, Outcome.completed)
    await engine.connect()
    job = await family(engine, up=0.1, high=0.9)
    raised = await job.raise_priorities({"up": 0.85, "high": 0.5, "nobody": 1.0})
    assert (1, 1, 1) == (raised.raised, raised.suppressed, raised.unknown)
    again = await job.raise_priorities({"up": 0.85})
    assert (0, 1, 0) == (again.raised, again.suppressed, again.unknown)
    assert {"up": 0.85} == await outbox(dsn)
    with pytest.raises(DataRefused, match="NaN"):
        await job.raise_priorities({"up": float("nan")})
    async with engine:
        await until(lambda: "parent" in ended)
        await until(has(dsn, {"up": 0.85, "high": 0.9}))
        # The bell: the domain is held already.
        await job.raise_priorities({"up": 0.95})
        await until(has(dsn, {"up": 0.95}))
        await job.cancel()
        with pytest.raises(JobFinal):
            await job.raise_priorities({"up": 1.0})


async def test_a_raised_task_is_claimed_first(dsn: str) -> None:
    """A claim reads from the top again, though the job was read on far below."""
    engine = Engine(dsn, config=Config(**PROMPT, capacity=1))
    seen: list[str] = []
    go = asyncio.Event()

    @engine.handler("note")
    async def note(task: Task) -> None:
        seen.append(task.target)
        if len(seen) == 3:
            await go.wait()

    await engine.connect()
    tasks = [NewTask(f"t{n}", priority=0.5 - n / 100) for n in range(20)]
    job = await engine.create_job(
        domain="a.example", handler="note", concurrency=1, tasks=tasks, discovery_open=False
    )
    async with engine:
        await until(lambda: len(seen) == 3)
        await job.raise_priorities({"t19": 0.9})
        await until(has(dsn, {"t19": 0.9}))
        go.set()
        await until(lambda: len(seen) == 20)
    assert "t19" in seen[3:5]


async def test_settling_does_not_wait_for_raises(dsn: str) -> None:
    """While the write of raises is stuck behind a lock, tasks of other jobs are settled."""
    # The domain has nothing to run: given back, its raises would wait in the outbox.
    config = Config(**PROMPT, idle_release_s=600.0)
    engine, _ = parent_engine(dsn, Outcome.completed, config)
    await engine.connect()
    stuck = await family(engine, up=0.1)
    free = await engine.create_job(domain="b.example", handler="note", discovery_open=True)

    async def parent_is_settled() -> bool:
        return (await stuck.info()).completed == 1

    async with engine:
        await until(parent_is_settled)
        await stuck.raise_priorities({"up": 0.2})
        value = engine.metrics.value
        await until(lambda: value("pacewheel_raise_entries", tier="cold") == 1)
        async with locked_job(dsn, stuck.id):
            assert engine._runtime is not None
            engine._runtime._propagator.hurry()
            await until(lambda: waits_for_a_lock(dsn))
            await free.enqueue([NewTask(f"t{n}") for n in range(50)])

            async def all_settled() -> bool:
                return (await free.info()).completed == 50

            await until(all_settled)
            assert 0.1 == (await priorities(dsn))["up"]
        await until(has(dsn, {"up": 0.2}))


async def test_a_lost_bell_is_found_by_the_sweep(dsn: str) -> None:
    """A row that nobody rang for is written all the same."""
    engine, ended = parent_engine(dsn, Outcome.completed)
    await engine.connect()
    await family(engine, up=0.1)
    async with engine:
        await until(lambda: "parent" in ended)
        await execute(
            dsn,
            "INSERT INTO pacewheel.priority_updates (domain_id, task_id, job_id, priority)"
            " SELECT domain_id, id, job_id, 0.9 FROM pacewheel.tasks WHERE target = 'up'",
        )
        await until(has(dsn, {"up": 0.9}))
        assert {} == await outbox(dsn)


async def test_a_full_buffer_is_written_through(dsn: str) -> None:
    """Room for two raises, a hundred come: all are written, none waits for its tier."""
    children = {f"t{n}": n / 1000 for n in range(100)}
    wanted = {name: 0.2 + of for name, of in children.items()}
    engine, _ = parent_engine(
        dsn,
        lambda: Outcome.completed(raises=wanted),
        Config(**PROMPT, raises_max=2, warm_raise_s=3600.0, cold_raise_s=3600.0),
    )
    async with engine:
        await started(engine)
        await family(engine, **children)
        await until(has(dsn, wanted))
        # Once, or again for what was read from the outbox meanwhile.
        assert 1 <= engine.metrics.value("pacewheel_raise_flushes_total", cause="hard")
        assert {} == await outbox(dsn)


async def test_a_stop_writes_what_waits(dsn: str) -> None:
    """Raises that could have waited an hour are in their rows when the engine has stopped."""
    engine, ended = parent_engine(dsn, lambda: Outcome.completed(raises={"up": 0.2}), SLOW)
    await engine.connect()
    await family(engine, up=0.1)
    async with engine:
        await until(lambda: "parent" in ended)
        await until(lambda: engine.metrics.value("pacewheel_raise_entries", tier="cold") == 1)
        assert {"parent": 2.0, "up": 0.1} == await priorities(dsn)
    assert {"parent": 2.0, "up": 0.2} == await priorities(dsn)
    assert {} == await outbox(dsn)
    assert 1 == engine.metrics.value("pacewheel_raise_flushes_total", cause="drain")


async def test_cancelling_a_job_discards_its_raises(dsn: str) -> None:
    """In the outbox with the cancel itself, in the buffer with its hint."""
    engine, ended = parent_engine(dsn, lambda: Outcome.completed(raises={"up": 0.2}), SLOW)
    await engine.connect()
    job = await family(engine, up=0.1)
    async with engine:
        await until(lambda: "parent" in ended)
        value = engine.metrics.value
        await until(lambda: value("pacewheel_raise_entries", tier="cold") == 1)
        await job.cancel()
        assert [] == await fetch(dsn, "SELECT FROM pacewheel.priority_updates")
        assert engine._runtime is not None
        buffer = engine._runtime._propagator._buffer
        await until(lambda: len(buffer) == 0)
        assert 1 == buffer.stats()["discarded"]


async def test_a_write_that_raises_nothing_writes_nothing(dsn: str) -> None:
    """Exact doubles: 0.9 to the nth is as high as itself at every depth, in the row and the outbox."""
    depths = {f"t{n}": 0.9**n for n in range(60)}
    engine, ended = parent_engine(dsn, lambda: Outcome.completed(raises=depths))
    await engine.connect()
    job = await family(engine, **depths)
    assert 60 == (await job.raise_priorities(depths)).suppressed
    before = dict(await fetch(dsn, "SELECT target, xmin::text FROM pacewheel.tasks"))
    raised = {name: of * 0.9 for name, of in depths.items()} | {"t59": 1.0}
    assert (1, 59) == (
        (answer := await job.raise_priorities(raised)).raised,
        answer.suppressed,
    )
    async with engine:
        await until(has(dsn, {"t59": 1.0}))
        await until(lambda: "parent" in ended)
    after = dict(await fetch(dsn, "SELECT target, xmin::text FROM pacewheel.tasks"))
    changed = {target for target, version in after.items() if before[target] != version}
    assert {"t59", "parent"} == changed


async def test_raises_of_a_final_job_are_pruned(dsn: str) -> None:
    """What a task that was in flight left in the outbox goes with the sweep after its job's end."""
    engine, ended = parent_engine(dsn, Outcome.completed)
    await engine.connect()
    job = await engine.create_job(
        domain="a.example", handler="note", tasks=[NewTask("parent")], discovery_open=False
    )
    await execute(
        dsn,
        "INSERT INTO pacewheel.priority_updates (domain_id, task_id, job_id, priority)"
        " SELECT domain_id, id, job_id, 0.9 FROM pacewheel.tasks",
        "UPDATE pacewheel.domains SET in_flight = ARRAY(SELECT id FROM pacewheel.tasks)",
    )
    async with engine:
        await until(lambda: "parent" in ended)

        async def outbox_is_empty() -> bool:
            return not await fetch(dsn, "SELECT FROM pacewheel.priority_updates")

        await until(outbox_is_empty)
        assert 1 == (await job.info()).completed


async def test_a_task_in_flight_is_not_written_and_stays_in_the_outbox(dsn: str) -> None:
    """If it is retried, the raise is found again; the row is not written for nothing."""
    engine, _ = parent_engine(dsn, Outcome.completed)
    await engine.connect()
    job = await family(engine)
    await execute(
        dsn, "UPDATE pacewheel.domains SET in_flight = ARRAY(SELECT id FROM pacewheel.tasks)"
    )
    await job.raise_priorities({"parent": 3.0})
    raises = await engine.store.raises.load_raises([1], (0, -(2**63)), 10)
    answer = await engine.store.raises.raise_priorities(raises)
    assert (0, 0, 1) == (answer.written, answer.suppressed, answer.running)
    assert {"parent": 3.0} == await outbox(dsn)
    await execute(dsn, "UPDATE pacewheel.domains SET in_flight = '{}'")
    answer = await engine.store.raises.raise_priorities(raises)
    assert (1, 0, [1]) == (answer.written, answer.suppressed, list(answer.domain_ids))
    assert {} == await outbox(dsn)
    await engine.close()


async def test_a_retried_task_is_raised_although_it_still_stands_in_flight(dsn: str) -> None:
    """It waited and woke behind a block, so no claim has rewritten what the last one gave."""
    engine, _ = parent_engine(dsn, Outcome.completed)
    await engine.connect()
    job = await family(engine)
    await execute(
        dsn,
        "UPDATE pacewheel.domains SET claimed_at = clock_timestamp(),"
        " in_flight = ARRAY(SELECT id FROM pacewheel.tasks)",
        "UPDATE pacewheel.tasks SET attempt = 1, ready_at = clock_timestamp()",
    )
    await job.raise_priorities({"parent": 3.0})
    raises = await engine.store.raises.load_raises([1], (0, -(2**63)), 10)
    answer = await engine.store.raises.raise_priorities(raises)
    assert (1, 0, 0) == (answer.written, answer.suppressed, answer.running)
    assert {"parent": 3.0} == await priorities(dsn)
    await engine.close()


async def test_a_raise_of_a_task_that_another_transaction_is_inserting_is_kept(dsn: str) -> None:
    """Two enqueues of one key at once: whoever comes second raises what it could not yet see."""
    engine, _ = parent_engine(dsn, Outcome.completed)
    await engine.connect()
    job = await family(engine)
    connection = await asyncpg.connect(dsn)
    first = connection.transaction()
    await first.start()
    later = NewTask("twice", priority=0.1, ready_in_s=3600)
    await engine.store.tasks.insert_tasks(connection, job.id, [later], notify=False)
    second = asyncio.create_task(job.enqueue([NewTask("twice", priority=0.9)]))
    await until(lambda: waits_for_a_lock(dsn))
    await first.commit()
    await connection.close()
    counts = await second
    assert (0, 1) == (counts.inserted, counts.known)
    assert {"twice": 0.9} == await outbox(dsn)
    async with engine:
        await until(has(dsn, {"twice": 0.9}))
