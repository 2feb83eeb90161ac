"""How the server's connections are shared out among processes, and what is said when they don't suffice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from pacewheel import Config, Engine
from pacewheel.errors import ConfigInvalid, StoreUnavailable
from pacewheel.metrics import Metrics
from pacewheel.store import Store, connections, shares
from pacewheel.store.pool import WorkPool
from tests.conftest import execute, fetch, until
from tests.own_server import OwnServer, migrated, running

# 40 connections, less 3 for superusers and 20 for administration: 17, of which each share leaves 4.
MAX_CONNECTIONS = 40
ROOM = 17


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server with few connections."""
    with running(max_connections=str(MAX_CONNECTIONS), superuser_reserved_connections="3") as own:
        yield own


@pytest.fixture
async def small_dsn(server: OwnServer) -> AsyncIterator[str]:
    """An empty database on it, migrated."""
    async with migrated(server) as work_dsn:
        yield work_dsn


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes grow at their next heartbeat, and wait for a slow server's farewells."""
    monkeypatch.setattr(shares, "GROWTH_DELAY_S", 0.0)
    monkeypatch.setattr(connections, "RESIZE_WAIT_S", 60.0)


class Process:
    """The store of one process, which registers and beats when it is told to."""

    def __init__(self, dsn: str, **settings: int) -> None:
        self.store = Store(dsn, config=Config(**settings), metrics=Metrics())
        self.worker_id = 0

    async def join(self) -> None:
        """Connect and register."""
        await self.store.open()
        self.worker_id = await self.store.leases.register_worker(1, 60_000, ["h"])

    async def beat(self) -> int:
        """Beat; return how many connections it may open for work afterwards."""
        await self.store.leases.heartbeat(self.worker_id, 60_000, 0)
        return self.store._pool.limit

    async def leave(self) -> None:
        """Retire and close."""
        await self.store.leases.retire_worker(self.worker_id)
        await self.store.close()


async def sum_of_shares(dsn: str) -> int:
    """What all live workers together may have open."""
    rows = await fetch(dsn, "SELECT sum(connections) FROM pacewheel.workers WHERE dead_at IS NULL")
    total: int = rows[0][0]
    return total


@asynccontextmanager
async def locked_workers(
    dsn: str, *processes: Process
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Lock the rows of these workers; yields the condition that as many others wait for a lock."""
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(
        "SELECT FROM pacewheel.workers WHERE id = ANY ($1) FOR UPDATE",
        [process.worker_id for process in processes],
    )

    async def all_wait() -> bool:
        rows = await fetch(dsn, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return len(rows) == len(processes)

    yield all_wait
    await transaction.rollback()
    await connection.close()


async def test_shares_follow_the_processes_and_leave_room_for_one_more(small_dsn: str) -> None:
    """Alone 11 for work; of two 4 each, once the first has given way; of three 2; and back."""
    one, two, three = (Process(small_dsn) for _ in range(3))
    await one.join()
    assert 2 == one.store._pool.limit
    assert 11 == await one.beat()
    await two.join()
    assert 2 == await two.beat()
    assert ROOM == await sum_of_shares(small_dsn)
    assert 4 == await one.beat()
    assert 4 == await two.beat()
    await three.join()
    assert 16 == await sum_of_shares(small_dsn)
    assert [2, 2, 2] == [await process.beat() for process in (one, two, three)]
    await three.leave()
    await two.leave()
    assert 11 == await one.beat()
    await one.leave()


async def test_connections_that_are_busy_count_until_they_are_closed(small_dsn: str) -> None:
    """The first lends all eleven when the second comes, which grows when they are back, not before."""
    one, two = Process(small_dsn), Process(small_dsn)
    await one.join()
    assert 11 == await one.beat()
    held = asyncio.Event()
    lent = [asyncio.create_task(one.store._pool.run(lambda _: held.wait())) for _ in range(11)]
    await until(lambda: one.store._pool.in_use == 11)
    await two.join()
    assert 4 == await one.beat()
    assert 2 == await two.beat()
    assert ROOM == await sum_of_shares(small_dsn)
    held.set()
    await asyncio.gather(*lent)
    assert 4 == await one.beat()
    assert 4 == await two.beat()
    assert 12 == await sum_of_shares(small_dsn)
    await one.leave()
    await two.leave()


async def test_processes_that_start_at_the_same_instant_do_not_take_the_same_room(
    small_dsn: str,
) -> None:
    """Four register and beat at once, ten times over: the sum never exceeds the room."""
    for _ in range(10):
        processes = [Process(small_dsn) for _ in range(4)]
        await asyncio.gather(*(process.join() for process in processes))
        assert await sum_of_shares(small_dsn) <= ROOM
        for _ in range(2):
            limits = await asyncio.gather(*(process.beat() for process in processes))
            assert await sum_of_shares(small_dsn) <= ROOM
        assert [2, 2, 2, 2] == limits
        await asyncio.gather(*(process.leave() for process in processes))


async def test_two_that_grow_at_the_same_moment_do_not_take_the_same_room(small_dsn: str) -> None:
    """Both have asked and neither has written yet: the second is told of what the first got."""
    # Its second of patience with a lock is too short for this test on a busy machine.
    await execute(
        small_dsn,
        "ALTER FUNCTION pacewheel.share_connections(bigint, integer, integer, integer, integer)"
        " SET lock_timeout = '60s'",
    )
    old, one, two = (Process(small_dsn, reserve_connections=0) for _ in range(3))
    await old.join()
    assert 31 == await old.beat()
    held = asyncio.Event()
    lent = [asyncio.create_task(old.store._pool.run(lambda _: held.wait())) for _ in range(20)]
    await one.join()
    await two.join()
    # Twenty are lent: of 37 the old one still has 22, and both new ones could have 11.
    assert 9 == await old.beat()
    async with locked_workers(small_dsn, one, two) as all_wait:
        growing = [
            asyncio.create_task(
                each.store.leases._fetch("share_connections", each.worker_id, 72, 4, 0, 4)
            )
            for each in (one, two)
        ]
        await until(all_wait)
    granted = sorted(rows[0]["granted"] for rows in await asyncio.gather(*growing))
    held.set()
    await asyncio.gather(*lent)
    assert [4, 11] == granted
    assert 22 + 4 + 11 == await sum_of_shares(small_dsn)
    for each in (old, one, two):
        await each.leave()


async def test_in_a_rolling_deploy_old_and_new_overlap_within_the_room(small_dsn: str) -> None:
    """Each new process comes before an old one goes; after every step the sum is within the room."""
    running = [Process(small_dsn) for _ in range(3)]
    for process in running:
        await process.join()
        for each in running[: running.index(process) + 1]:
            await each.beat()
    for _ in range(3):
        new = Process(small_dsn)
        await new.join()
        assert await sum_of_shares(small_dsn) <= ROOM
        running.append(new)
        for process in running:
            await process.beat()
            assert await sum_of_shares(small_dsn) <= ROOM
        await running.pop(0).leave()
    assert [2, 2, 2] == [await process.beat() for process in running]
    for process in running:
        await process.leave()


async def test_a_process_for_whom_there_is_no_room_says_so_and_leaves_no_trace(
    small_dsn: str,
) -> None:
    """The fifth of four is refused with the numbers and the next step; the four go on."""
    four = [Process(small_dsn) for _ in range(4)]
    for process in four:
        await process.join()
    engine = Engine(small_dsn)
    with pytest.raises(StoreUnavailable) as refused:
        await engine.start()
    said = str(refused.value)
    assert "of whose 40 connections (max_connections) 3 are kept for superusers and 20 for" in said
    assert (
        "has no room for 5 processes of at least 4 connections each: raise max_connections" in said
    )
    assert "reserve_connections or run fewer processes" in said
    assert "\n" not in said
    rows = await fetch(small_dsn, "SELECT count(*) FROM pacewheel.workers WHERE dead_at IS NULL")
    assert 4 == rows[0][0]
    for process in four:
        await process.leave()
    async with engine:
        pass


async def test_the_daemon_says_at_its_start_what_it_uses_and_why(
    small_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line: for work, besides, processes, max_connections and the reserves."""
    with caplog.at_level(logging.INFO, logger="pacewheel.connections"):
        async with Engine(small_dsn):
            pass
    (line,) = [each for each in caplog.messages if "connections for work" in each]
    assert line.startswith(
        "up to 11 connections for work and 2 for hints and housekeeping, opened as needed: an equal share "
        "(processes: 1) of database"
    )
    assert line.endswith(
        "of whose 40 connections (max_connections) 3 are kept for superusers and 20 for administration "
        "(reserve_connections)"
    )


async def test_pool_max_is_the_most_and_the_reserve_can_be_set(small_dsn: str) -> None:
    """Without a reserve alone 31 for work; with pool_max 5 no more than that."""
    free, few = Process(small_dsn, reserve_connections=0), Process(small_dsn, pool_max=5)
    await free.join()
    assert 31 == await free.beat()
    await free.leave()
    await few.join()
    assert 5 == await few.beat()
    await few.leave()


async def test_a_process_that_only_enqueues_uses_four_connections_at_most(small_dsn: str) -> None:
    """It has no share, and fits into what every share leaves free."""
    engine = Engine(small_dsn)
    await engine.connect()
    await asyncio.gather(*(engine.list_jobs() for _ in range(50)))
    rows = await fetch(
        small_dsn, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pacewheel'"
    )
    assert 4 == rows[0][0]
    await engine.close()


async def test_a_share_that_can_not_be_reviewed_costs_no_lease(
    small_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody holds the lock: the beat counts all the same, and the share is reviewed later."""
    one, two = Process(small_dsn), Process(small_dsn)
    await one.join()
    await one.beat()
    await two.join()
    holder = await asyncpg.connect(small_dsn)
    async with holder.transaction():
        await holder.execute("UPDATE pacewheel.migrations SET name = name WHERE version = 1")
        assert 11 == await one.beat()
        assert "the share of connections could not be reviewed" in caplog.text
    await holder.close()
    assert 4 == await one.beat()
    await one.leave()
    await two.leave()


async def test_a_full_server_costs_no_connection_that_is_open(small_dsn: str) -> None:
    """Somebody takes all that is left: what would need one more fails, and the two that are open work on."""
    pool = WorkPool(small_dsn, size_max=4, pooler=False)
    await pool.open()
    await asyncio.gather(*(pool.fetch("SELECT pg_sleep(0.1)") for _ in range(2)))
    others: list[asyncpg.Connection] = []
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            others.append(await asyncpg.connect(small_dsn))
    asked = [pool.fetchrow("SELECT pg_backend_pid(), pg_sleep(0.3)") for _ in range(3)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    (error,) = [each for each in answers if isinstance(each, BaseException)]
    assert isinstance(error, StoreUnavailable)
    assert "has no connection slots left" in str(error)
    mine = {each[0] for each in answers if not isinstance(each, BaseException | None)}
    rows = await others[0].fetch(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'pacewheel'"
    )
    assert mine == {row["pid"] for row in rows}
    for connection in others:
        await connection.close()
    await pool.close()


def test_a_direct_dsn_without_a_pooler_is_refused() -> None:
    """It would be ignored."""
    with pytest.raises(ConfigInvalid, match="set pooler=true"):
        Config(direct_dsn="postgresql://u@h/d")
