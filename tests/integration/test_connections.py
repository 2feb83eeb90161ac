"""The work pool: how many connections it opens and keeps, who waits for one, and what a change of its limit does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from pacewheel import Config, Engine, NewTask, Task
from pacewheel.errors import StoreUnavailable
from pacewheel.metrics import Metrics
from pacewheel.store import connections
from pacewheel.store.pool import WorkPool
from tests.conftest import FAST, fetch, until

if TYPE_CHECKING:
    import asyncpg


class Holders:
    """Statements that keep connections busy until they are told to end."""

    def __init__(self, pool: WorkPool) -> None:
        self._pool = pool
        self._end = asyncio.Event()
        self.running = 0
        self.tasks: list[asyncio.Task[None]] = []

    async def _hold(self, connection: asyncpg.Connection) -> None:
        self.running += 1
        await self._end.wait()
        assert 1 == await connection.fetchval("SELECT 1")
        self.running -= 1

    async def start(self, count: int) -> None:
        """Ask for so many connections more."""
        self.tasks += [asyncio.create_task(self._pool.run(self._hold)) for _ in range(count)]
        await asyncio.sleep(0)

    async def end(self) -> None:
        """Let all of them end, and see that none of them failed."""
        self._end.set()
        await asyncio.gather(*self.tasks)


@asynccontextmanager
async def pool_of(
    dsn: str, size_max: int, idle_max: int = 20
) -> AsyncIterator[tuple[WorkPool, Holders, Metrics]]:
    """An open pool, holders of its connections and its metrics."""
    metrics = Metrics()
    pool = WorkPool(dsn, size_max=size_max, pooler=False, idle_max=idle_max, metrics=metrics)
    await pool.open()
    try:
        yield pool, Holders(pool), metrics
    finally:
        await pool.close()


async def seen_by_server(dsn: str) -> int:
    """How many connections of the engine this database has."""
    rows = await fetch(
        dsn,
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pacewheel'"
        " AND datname = current_database()",
    )
    count: int = rows[0][0]
    return count


def server_sees(dsn: str, count: int) -> Callable[[], Awaitable[bool]]:
    """The condition that the server sees so many connections of the engine."""

    async def so_many_connections() -> bool:
        return await seen_by_server(dsn) == count

    return so_many_connections


async def test_connections_are_opened_as_needed_and_no_more_than_the_limit(dsn: str) -> None:
    """One at the start; ten requests open four, the others wait, and all are served."""
    async with pool_of(dsn, 4) as (_, holders, metrics):
        assert 1 == await seen_by_server(dsn)
        await holders.start(10)
        await until(lambda: holders.running == 4)
        assert 4 == await seen_by_server(dsn)
        assert 6 == metrics.value("pacewheel_pool_waiting_requests")
        assert 4 == metrics.value("pacewheel_pool_connections", state="busy")
        assert 4 == metrics.value("pacewheel_pool_limit_connections")
        await holders.end()
        assert 0 == metrics.value("pacewheel_pool_waiting_requests")
        assert 4 == metrics.value("pacewheel_pool_connections", state="idle")
        assert 11 == metrics.value("pacewheel_pool_wait_seconds_count")
    assert 0 == await seen_by_server(dsn)


async def test_idle_connections_beyond_the_most_are_closed_promptly_and_one_stays(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of eight, two stay for the while that unused ones are kept, then one."""
    async with pool_of(dsn, 8, idle_max=2) as (_, holders, metrics):
        await holders.start(8)
        await until(lambda: holders.running == 8)
        await holders.end()
        await until(server_sees(dsn, 2))
        assert 2 == metrics.value("pacewheel_pool_connections", state="idle")
        monkeypatch.setattr(connections, "IDLE_S", 0.1)
        await until(server_sees(dsn, 1))


async def test_a_lower_limit_cuts_nobody_and_is_kept_as_work_ends(dsn: str) -> None:
    """Six at work end well, but only two are open afterwards; a higher limit admits at once."""
    async with pool_of(dsn, 6) as (pool, holders, _):
        await holders.start(6)
        await until(lambda: holders.running == 6)
        await pool.resize(2)
        assert (2, 6) == (pool.limit, pool.in_use)
        await holders.end()
        await until(server_sees(dsn, 2))
        more = Holders(pool)
        await more.start(3)
        await until(lambda: more.running == 2)
        await pool.resize(3)
        await until(lambda: more.running == 3)
        await more.end()


async def test_a_lower_limit_closes_idle_connections_at_once(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the change returns, the server has only so many left."""
    monkeypatch.setattr(connections, "RESIZE_WAIT_S", 60.0)
    async with pool_of(dsn, 6) as (pool, holders, _):
        await holders.start(6)
        await until(lambda: holders.running == 6)
        await holders.end()
        await pool.resize(2)
        assert 2 == pool.in_use
        await until(server_sees(dsn, 2))


async def test_who_waits_too_long_is_told_that_the_pool_is_saturated(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the limit and the next step, is counted, and leaves the pool as it was."""
    monkeypatch.setattr(connections, "WAIT_S", 0.2)
    async with pool_of(dsn, 2) as (pool, holders, metrics):
        await holders.start(2)
        await until(lambda: holders.running == 2)
        with pytest.raises(StoreUnavailable, match="all 2 of the pool are busy: look for slow"):
            await pool.fetch("SELECT 1")
        assert 1 == metrics.value("pacewheel_pool_timeouts_total")
        assert 0 == metrics.value("pacewheel_pool_waiting_requests")
        await holders.end()
        assert 1 == (await pool.fetch("SELECT 1"))[0][0]
        assert 2 == await seen_by_server(dsn)


async def test_requests_that_are_cancelled_lose_no_connection(dsn: str) -> None:
    """Whether it waits, was just admitted, connects or runs a statement."""
    async with pool_of(dsn, 2) as (pool, holders, metrics):
        for turns in range(12):
            running = [asyncio.create_task(pool.fetch("SELECT pg_sleep(5)")) for _ in range(4)]
            for _ in range(turns):
                await asyncio.sleep(0)
            if turns % 3 == 0:
                await asyncio.sleep(0.05)
            for task in running:
                task.cancel()
            for task in running:
                with suppress(asyncio.CancelledError):
                    await task
        await until(lambda: metrics.value("pacewheel_pool_connections", state="busy") == 0)
        await holders.start(2)
        await until(lambda: holders.running == 2)
        await until(server_sees(dsn, 2))
        await holders.end()


async def test_a_connection_that_is_being_closed_still_counts(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server bears it until its cancelled statement has ended: nobody gets one more before."""
    let_go = asyncio.Event()
    shut = connections._shut

    async def shut_late(connection: asyncpg.Connection) -> None:
        await let_go.wait()
        await shut(connection)

    monkeypatch.setattr(connections, "_shut", shut_late)
    async with pool_of(dsn, 1) as (pool, _, metrics):
        running = asyncio.create_task(pool.fetch("SELECT pg_sleep(60)"))

        async def sleeps() -> bool:
            query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
            return len(await fetch(dsn, query)) == 1

        await until(sleeps)
        running.cancel()
        after = asyncio.create_task(pool.fetch("SELECT 1"))
        await until(lambda: metrics.value("pacewheel_pool_waiting_requests") == 1)
        let_go.set()
        assert 1 == (await after)[0][0]
        await asyncio.wait([running])
        assert running.cancelled()


async def test_a_connection_left_in_a_transaction_is_not_lent_again(dsn: str) -> None:
    """Whatever its borrower did, the next one begins afresh."""
    async with pool_of(dsn, 1) as (pool, _, _):
        backend = await pool.fetchrow("SELECT pg_backend_pid()")

        async def leave_open(connection: asyncpg.Connection) -> None:
            await connection.execute("BEGIN")

        await pool.run(leave_open)
        assert backend != await pool.fetchrow("SELECT pg_backend_pid()")


async def test_a_closed_pool_refuses_those_who_wait_and_those_who_come(dsn: str) -> None:
    """Nobody is left waiting, and what is at work ends first."""
    async with pool_of(dsn, 1) as (pool, holders, _):
        await holders.start(1)
        await until(lambda: holders.running == 1)
        waiting = asyncio.create_task(pool.fetch("SELECT 1"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.close())
        with pytest.raises(StoreUnavailable, match="are closed"):
            await waiting
        assert not closing.done()
        await holders.end()
        await closing
        with pytest.raises(StoreUnavailable, match="are closed"):
            await pool.fetch("SELECT 1")


async def test_a_saturated_pool_starves_no_heartbeat(dsn: str) -> None:
    """All connections sleep for longer than a lease: the worker lives on, and then does what came meanwhile."""
    engine = Engine(dsn, config=Config(**{**FAST, "lease_ttl_s": 3.0}, pool_max=4))
    done = asyncio.Event()

    @engine.handler("note")
    async def note(task: Task) -> None:
        done.set()

    async with engine:
        pool = engine.store._pool
        await until(lambda: pool.limit == 4)
        asleep = [asyncio.create_task(pool.fetch("SELECT pg_sleep(4)")) for _ in range(4)]
        await until(lambda: engine.metrics.value("pacewheel_pool_connections", state="busy") == 4)
        creating = asyncio.create_task(
            engine.create_job(domain="a.example", handler="note", tasks=[NewTask("a")])
        )
        leases = set()
        while not all(task.done() for task in asleep):
            (worker,) = await fetch(
                dsn,
                "SELECT id, dead_at, lease_until, lease_until > now() AS alive FROM pacewheel.workers",
            )
            assert worker["alive"]
            assert worker["dead_at"] is None
            leases.add(worker["lease_until"])
            await asyncio.sleep(0.05)
        await asyncio.gather(*asleep, creating)
        await asyncio.wait_for(done.wait(), 60)
    assert len(leases) >= 3


async def test_an_engine_at_work_opens_what_it_needs(dsn: str) -> None:
    """By default: three connections at the start, a few under load, far from the seventy it may open."""
    engine = Engine(dsn)

    @engine.handler("note")
    async def note(task: Task) -> None:
        pass

    most = 0
    async with engine:
        assert await seen_by_server(dsn) <= 4
        job = await engine.create_job(domain="a.example", handler="note", concurrency=64)
        for part in range(5):
            await job.enqueue([NewTask(f"{part}/{n}") for n in range(1000)])
            most = max(most, await seen_by_server(dsn))

        async def settled() -> bool:
            nonlocal most
            most = max(most, await seen_by_server(dsn))
            return (await job.info()).completed == 5000

        await until(settled)
    assert most <= 8
