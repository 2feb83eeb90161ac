"""Every transaction is timed under its statement; slow ones and failures are counted and said."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pacewheel import Config, Engine, NewTask
from pacewheel.errors import StoreUnavailable
from tests.conftest import execute, until, waits_for_a_lock
from tests.own_server import free_port

if TYPE_CHECKING:
    import asyncpg


async def test_slow_transactions_are_counted_and_said(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With a threshold of nothing all are slow. That lines are few is the log's own business (storms)."""
    caplog.set_level(logging.WARNING, "pacewheel.transactions")
    engine = Engine(dsn, config=Config(slow_transaction_ms=0))
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="none")
    for number in range(5):
        await job.enqueue([NewTask(str(number))])
    await engine.close()
    slow = "pacewheel_slow_transactions_total"
    assert 5 == engine.metrics.value(slow, statement="enqueue_tasks")
    said = Counter(record.__dict__["statement"] for record in caplog.records)
    # Hints go in their own time.
    assert {"put_domain": 1, "create_job": 1, "enqueue_tasks": 5} == {
        name: number for name, number in said.items() if name != "notify"
    }
    assert "slow transaction: put_domain took 0.0 s" in caplog.text


async def test_a_transaction_of_several_statements_is_one_and_a_fast_one_is_not_slow(
    dsn: str,
) -> None:
    """Creating a job with tasks: put_domain, then one transaction under the name create_job."""
    engine = Engine(dsn)
    await engine.connect()
    await engine.create_job(domain="a.example", handler="none", tasks=[NewTask("1")])
    await engine.close()
    counts = engine.metrics.transaction_seconds.counts()
    assert {"put_domain": 1, "create_job": 1} == {name: sum(n) for name, n in counts.items()}
    assert 0 == engine.metrics.value("pacewheel_slow_transactions_total", statement="create_job")


async def test_a_deadlock_counts_as_an_error_and_is_run_again(dsn: str) -> None:
    """By its class 40 and its statement; the caller sees none of it."""
    await execute(
        dsn, "CREATE TABLE public.two (id int PRIMARY KEY)", "INSERT INTO two VALUES (1), (2)"
    )
    engine = Engine(dsn)
    await engine.connect()
    both = asyncio.Barrier(2)
    attempts = 0

    def lock(first: int, second: int) -> object:
        async def work(connection: asyncpg.Connection) -> None:
            nonlocal attempts
            attempts += 1
            async with connection.transaction():
                text = "SELECT FROM public.two WHERE id = $1 FOR UPDATE"
                await connection.execute(text, first)
                if attempts <= 2:
                    await both.wait()
                await connection.execute(text, second)

        return work

    pool = engine.store._pool
    await asyncio.gather(
        pool.run(lock(1, 2), name="lock_job"), pool.run(lock(2, 1), name="lock_job")
    )
    await engine.close()
    assert 3 == attempts
    metrics = engine.metrics
    assert 1 == metrics.value("pacewheel_transaction_errors_total", statement="lock_job")
    assert 1 == metrics.value("pacewheel_database_errors_total", sqlstate_class="40")
    assert 3 == metrics.value("pacewheel_transaction_seconds_count", statement="lock_job")
    (times,) = [each for each in metrics.transaction_times() if each.statement == "lock_job"]
    assert (3, 1) == (times.count, times.errors)
    # The server looks for deadlocks after a second.
    assert 1000 < times.p99_ms


async def test_a_transaction_that_is_cut_short_is_timed_all_the_same(dsn: str) -> None:
    """Cancelled while it waits for a lock; that is no error of the database."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="none")
    locked, let_go = asyncio.Event(), asyncio.Event()

    async def hold(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute("SELECT FROM pacewheel.jobs FOR UPDATE")
            locked.set()
            await let_go.wait()

    holding = asyncio.create_task(engine.store._pool.run(hold))
    await locked.wait()
    enqueuing = asyncio.create_task(job.enqueue([NewTask("1")]))
    await until(lambda: waits_for_a_lock(dsn))
    enqueuing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await enqueuing
    let_go.set()
    await holding
    await engine.close()
    name = "pacewheel_transaction_seconds_count"
    assert 1 == engine.metrics.value(name, statement="enqueue_tasks")
    assert 0 == engine.metrics.value(
        "pacewheel_transaction_errors_total", statement="enqueue_tasks"
    )


async def test_connections_that_are_refused_are_counted_whoever_asks_for_them(dsn: str) -> None:
    """The work pool's, housekeeping's and the listener's, with a database that is not there."""
    engine = Engine(dsn)
    await engine.connect()
    store = engine.store
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    errors = 0.0
    for part, ask in (
        (store.leases, store.leases.declare_dead),
        (store.listener, lambda: store.listener.listen(lambda _verb, _ids: None)),
    ):
        part._dsn = nowhere
        with pytest.raises(StoreUnavailable):
            await ask()
        errors += 1
        name = "pacewheel_database_errors_total"
        assert errors == engine.metrics.value(name, sqlstate_class="none")
    failed = "pacewheel_transaction_errors_total"
    assert 1 == engine.metrics.value(failed, statement="declare_dead")
    await engine.close()


async def test_a_transaction_that_no_connection_was_free_for_is_an_error(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool that is saturated fails transactions too; it is no error that the database told."""
    monkeypatch.setattr("pacewheel.store.connections.WAIT_S", 0.05)
    engine = Engine(dsn, config=Config(pool_max=4, pool_idle_max=1))
    await engine.connect()
    pool = engine.store._pool
    let_go = asyncio.Event()

    async def hold(_connection: asyncpg.Connection) -> None:
        await let_go.wait()

    holding = [asyncio.create_task(pool.run(hold)) for _ in range(pool.limit)]
    await until(lambda: pool.headroom() == 0)
    with pytest.raises(StoreUnavailable, match="pool are busy"):
        await engine.store.ping()
    let_go.set()
    await asyncio.gather(*holding)
    await engine.close()
    value = engine.metrics.value
    assert 1 == value("pacewheel_transaction_errors_total", statement="read_clock")
    assert 1 == value("pacewheel_pool_timeouts_total")
    assert 0 == value("pacewheel_database_errors_total", sqlstate_class="none")


async def test_a_database_that_takes_no_connections_is_away(dsn: str, server_dsn: str) -> None:
    """As while it is restored: it is waited for, where the engine ended after five tries."""
    name = dsn.rpartition("/")[2].partition("?")[0]
    allow = f"ALTER DATABASE {name} ALLOW_CONNECTIONS"
    engine = Engine(dsn)
    await execute(server_dsn, f"{allow} false")
    with pytest.raises(StoreUnavailable, match="not currently accepting connections"):
        await engine.connect()
    await execute(server_dsn, f"{allow} true")
    await engine.connect()
    await engine.close()
