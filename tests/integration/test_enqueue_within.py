"""Enqueue inside the caller's own transaction, from Python and from plain SQL, with the engine's checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from pacewheel import Config, Engine, NewTask, Task
from pacewheel.engine import Job
from pacewheel.errors import ConfigInvalid, JobFinal
from tests.conftest import BY_HINTS_ALONE, execute, fetch, until, waits_for_a_lock


@pytest.fixture
async def job(engine: Engine) -> Job:
    """A job without tasks."""
    return await engine.create_job(domain="a.example", handler="note", max_tasks=3)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The caller's own connection."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def targets(dsn: str) -> list[str]:
    """Return the targets of all tasks that are committed."""
    rows = await fetch(dsn, "SELECT target FROM pacewheel.tasks ORDER BY target")
    return [row["target"] for row in rows]


async def test_tasks_exist_when_the_callers_transaction_commits(
    dsn: str, job: Job, connection: asyncpg.Connection
) -> None:
    """Both the caller's row and the tasks, or neither."""
    await execute(dsn, "CREATE TABLE orders (id integer)")
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("INSERT INTO orders VALUES (1)")
    counts = await job.enqueue([NewTask("a"), NewTask("b"), NewTask("a")], connection=connection)
    assert (2, 1) == (counts.inserted, counts.known)
    assert [] == await targets(dsn)
    await transaction.rollback()
    assert [] == await targets(dsn)
    assert (0, 0) == ((await job.info()).total, (await job.info()).pending)
    async with connection.transaction():
        await connection.execute("INSERT INTO orders VALUES (2)")
        await job.enqueue([NewTask("c")], connection=connection)
    assert ["c"] == await targets(dsn)
    assert 1 == (await job.info()).pending


async def test_a_connection_without_a_transaction_is_refused(
    job: Job, connection: asyncpg.Connection
) -> None:
    """It would commit the parts one by one, which nobody who passes a connection wants."""
    with pytest.raises(ConfigInvalid, match="no transaction open"):
        await job.enqueue([NewTask("a")], connection=connection)


async def test_a_final_job_refuses_inside_the_callers_transaction(
    dsn: str, job: Job, connection: asyncpg.Connection
) -> None:
    """The caller's transaction goes on: what to do is its decision."""
    await job.cancel()
    await execute(dsn, "CREATE TABLE orders (id integer)")
    async with connection.transaction():
        await connection.execute("INSERT INTO orders VALUES (1)")
        with pytest.raises(JobFinal, match="cancelled"):
            await job.enqueue([NewTask("a")], connection=connection)
    assert 1 == len(await fetch(dsn, "SELECT FROM orders"))
    assert [] == await targets(dsn)


async def test_sql_enqueues_with_the_same_checks(dsn: str, job: Job) -> None:
    """New, known, over the limit; a mistake is an error with its own SQLSTATE."""
    call = "SELECT pacewheel.enqueue($1, $2)"
    said = [(await fetch(dsn, call, job.id, target))[0][0] for target in "aabcd"]
    assert ["inserted", "known", "inserted", "inserted", "over_limit"] == said
    assert (3, 3) == ((await job.info()).total, (await job.info()).pending)
    with pytest.raises(asyncpg.NoDataFoundError, match="there is no job 99"):
        await fetch(dsn, call, 99, "a")
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await fetch(dsn, call, job.id, None)
    await job.cancel()
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="is final"):
        await fetch(dsn, call, job.id, "late")


async def test_sql_enqueues_thousands_in_one_call(
    dsn: str, engine: Engine, connection: asyncpg.Connection
) -> None:
    """Arrays side by side, as the README shows; without keys, payloads and delays."""
    job = await engine.create_job(domain="b.example", handler="note", max_tasks=2500)
    (row,) = await connection.fetch(
        "SELECT e.inserted, e.known, e.over_limit, e.refused FROM (SELECT array_agg($1::bigint) AS jobs,"
        " array_agg('t' || n % 2600) AS urls, array_agg(0.5::float8) AS priorities"
        " FROM generate_series(1, 3000) AS n) n CROSS JOIN pacewheel.enqueue_tasks("
        " n.jobs, n.urls, NULL, n.priorities, NULL, NULL, probe => 0, notify => true) AS e",
        job.id,
    )
    assert (2500, 400, 100, 0) == tuple(row)
    assert (2500, 2500) == ((await job.info()).total, (await job.info()).pending)


@pytest.mark.parametrize("caller", ["Python", "SQL"])
async def test_what_another_transaction_enqueues_meanwhile_is_known_and_takes_its_places(
    dsn: str, job: Job, connection: asyncpg.Connection, caller: str
) -> None:
    """Of two transactions at one job the second sees what the first has inserted, whoever calls."""
    first = connection.transaction()
    await first.start()
    await job.enqueue([NewTask("a"), NewTask("b")], connection=connection)
    if caller == "Python":
        second = asyncio.create_task(job.enqueue([NewTask("a"), NewTask("c"), NewTask("d")]))
    else:
        call = (
            "SELECT e.inserted, e.known, e.over_limit, e.overtaken FROM pacewheel.enqueue_tasks("
            "array_fill($1::bigint, '{3}'), '{a,c,d}', NULL, '{0,0,0}', NULL, NULL, 0, false) AS e"
        )
        second = asyncio.create_task(fetch(dsn, call, job.id))
    await until(lambda: waits_for_a_lock(dsn))
    await first.commit()
    counts = await second
    if caller == "Python":
        assert (1, 1, 1) == (counts.inserted, counts.known, counts.over_limit)
    else:
        assert [(1, 1, 1, False)] == counts
    assert ["a", "b", "c"] == await targets(dsn)
    assert (3, 3) == ((await job.info()).total, (await job.info()).pending)


async def test_sql_sets_everything_a_task_has(dsn: str, job: Job) -> None:
    """Key, priority, payload and delay arrive as Python would set them."""
    await execute(
        dsn,
        f"SELECT pacewheel.enqueue({job.id}, 'url', key => 'k', priority => 0.6561,"
        " payload => '{\"a\": 1}', ready_in => '1 hour')",
    )
    assert 1 == (await job.enqueue([NewTask("other", key="k")])).known
    row = (
        await fetch(
            dsn,
            "SELECT target, key, priority, payload->>'a' AS a, status, waiting_reason,"
            " ready_at - created_at BETWEEN '59 min' AND '61 min' AS delayed FROM pacewheel.tasks",
        )
    )[0]
    assert ("url", "k", 0.6561, "1", 1, 1, True) == tuple(row)
    assert {"scheduled": 1} == {each.reason.value: each.tasks for each in await job.explain()}
    rows = await fetch(dsn, "SELECT reason, tasks FROM pacewheel.explain_waiting($1)", job.id)
    assert [("scheduled", 1)] == [tuple(row) for row in rows]


async def test_sql_raises_a_priority_with_the_same_checks(dsn: str, job: Job) -> None:
    """Higher, as high already, unknown; a mistake is an error; the owner then carries it out."""
    await job.enqueue([NewTask("a", priority=0.5)])
    call = "SELECT pacewheel.raise_priority($1, $2, $3)"
    asked = [("a", 0.9), ("a", 0.9), ("a", 0.4), ("b", 1.0)]
    said = [(await fetch(dsn, call, job.id, key, priority))[0][0] for key, priority in asked]
    assert ["raised", "suppressed", "suppressed", "unknown"] == said
    assert [(0.9,)] == await fetch(dsn, "SELECT priority FROM pacewheel.priority_updates")
    with pytest.raises(asyncpg.NoDataFoundError, match="there is no job 99"):
        await fetch(dsn, call, 99, "a", 1.0)
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await fetch(dsn, call, job.id, "a", float("nan"))
    # A paused job's task stays pending, so there is a row for the raise to reach; the other job
    # makes a process own the domain.
    await job.pause()
    owner = Engine(dsn)

    @owner.handler("note")
    async def note(task: Task) -> None:
        await asyncio.sleep(60)

    async def reached() -> bool:
        rows = await fetch(dsn, "SELECT priority FROM pacewheel.tasks WHERE target = 'a'")
        return rows == [(0.9,)]

    async with owner:
        other = await owner.create_job(domain="a.example", handler="note", tasks=[NewTask("b")])
        await until(reached)
        await other.cancel()
    await job.cancel()
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="is final"):
        await fetch(dsn, call, job.id, "a", 1.0)


async def test_a_trigger_can_feed_the_engine(dsn: str) -> None:
    """A row inserted by anybody starts a task of a running engine within moments of its commit."""
    engine = Engine(dsn, config=Config(**BY_HINTS_ALONE))
    started = asyncio.Event()

    @engine.handler("note")
    async def note(task: Task) -> None:
        assert "order 7" == task.target
        started.set()

    async with engine:
        job = await engine.create_job(domain="a.example", handler="note")
        await execute(
            dsn,
            "CREATE TABLE orders (id integer)",
            "CREATE FUNCTION feed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" PERFORM pacewheel.enqueue({job.id}, 'order ' || NEW.id); RETURN NULL; END $$",
            "CREATE TRIGGER feed AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION feed()",
            "INSERT INTO orders VALUES (7)",
        )
        await asyncio.wait_for(started.wait(), 50)

        async def settled() -> bool:
            return (await job.info()).completed == 1

        await until(settled)
