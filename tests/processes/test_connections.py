"""Twenty administrators come in while every process works at its limit, on a server with few connections."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from pacewheel.store import migrate
from tests.conftest import execute, fetch, until
from tests.own_server import PASSWORD, OwnServer, running
from tests.processes.fleet import Fleet, count, create_jobs, send, wait_for_exit

MAX_CONNECTIONS = 40
ADMINS = 20
# What is left for processes: 40 less 3 for superusers and 20 for administration.
ROOM = 17
ONE_MORE = 4
DOMAINS = 6
# More than are done before a test is over.
TASKS = 2000


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server with few connections."""
    with running(max_connections=str(MAX_CONNECTIONS), superuser_reserved_connections="3") as own:
        yield own


@pytest.fixture
async def dsn(server: OwnServer) -> AsyncIterator[str]:
    """A migrated database on it, of a user without privileges: the reserve of superusers helps nobody."""
    await execute(
        server.dsn(),
        f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'",
        "CREATE DATABASE work OWNER app",
    )
    app_dsn = server.dsn("app", database="work")
    await migrate(app_dsn, "pacewheel")
    yield app_dsn
    await execute(server.dsn(), "DROP DATABASE work WITH (FORCE)", "DROP ROLE app")


class Watch:
    """A superuser's session that counts the engine's connections again and again."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def run(self, connection: asyncpg.Connection) -> None:
        """Count until cancelled."""
        while True:
            self.now = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pacewheel'"
            )
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def watching(server: OwnServer) -> AsyncIterator[Watch]:
    """Count for the time of the block."""
    connection = await asyncpg.connect(server.dsn())
    watch = Watch()
    task = asyncio.create_task(watch.run(connection))
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.wait([task])
        await connection.close()


@asynccontextmanager
async def admins(dsn: str) -> AsyncIterator[list[asyncpg.Connection]]:
    """As many sessions as the reserve is for, all opened at once."""
    sessions = await asyncio.gather(*(asyncpg.connect(dsn, timeout=30) for _ in range(ADMINS)))
    try:
        yield sessions
    finally:
        await asyncio.gather(*(session.close() for session in sessions))


async def start_one_by_one(fleet: Fleet, processes: int) -> list[subprocess.Popen[bytes]]:
    """Start processes, each when the others have left room for it: who comes at once takes from the reserve."""
    started = []
    for number in range(1, processes + 1):
        started.append(fleet.start())

        async def there_is_room_for_one_more(number: int = number) -> bool:
            query = "SELECT connections FROM pacewheel.workers WHERE dead_at IS NULL"
            given = [row["connections"] for row in await fetch(fleet.dsn, query)]
            return len(given) == number and sum(given) <= ROOM - ONE_MORE

        await until(there_is_room_for_one_more)
    return started


@pytest.mark.parametrize("processes", [1, 2, 3])
async def test_twenty_administrators_get_in_under_full_load(
    server: OwnServer, dsn: str, tmp_path: Path, processes: int
) -> None:
    """All twenty sessions open and work while each pool is saturated; no process sees an error."""
    fleet = Fleet(dsn, tmp_path)
    # What a process may open: its equal share of the room less the four kept for one more.
    each = max(ONE_MORE, (ROOM - ONE_MORE) // processes)
    try:
        await create_jobs(
            dsn,
            [f"d{number}.example" for number in range(DOMAINS)],
            TASKS,
            concurrency=4,
            handler="read",
            hold_ms=300,
            reads=5,
        )
        async with watching(server) as watch:
            await start_one_by_one(fleet, processes)
            await until(lambda: watch.now == processes * each)
            for _ in range(3):
                async with admins(dsn) as sessions:
                    answers = [await session.fetchval("SELECT 1") for session in sessions]
                    assert [1] * ADMINS == answers
                    before = len(fleet.runs())
                    await fleet.until_runs(lambda runs, before=before: len(runs) > before + 20)
                    assert watch.now > processes * each / 2
        assert watch.most <= ROOM
        assert processes == len(fleet.pids())

        async def shares_are_equal() -> bool:
            # One that has not heard of the last to come gives its surplus back with a heartbeat.
            living = "SELECT connections FROM pacewheel.workers WHERE dead_at IS NULL"
            return [each] * processes == [row["connections"] for row in await fetch(dsn, living)]

        await until(shares_are_equal)
    finally:
        errors = fleet.end()
    assert "Traceback" not in errors
    assert "no connection slots" not in errors


async def test_a_rolling_deploy_on_a_full_server_ends_no_connection(
    server: OwnServer, dsn: str, tmp_path: Path
) -> None:
    """Three new processes come, one by one, before three old ones go, with all administrators in."""
    fleet = Fleet(dsn, tmp_path)
    try:
        await create_jobs(
            dsn,
            [f"d{number}.example" for number in range(DOMAINS)],
            TASKS,
            concurrency=4,
            handler="read",
            hold_ms=200,
            reads=5,
        )
        async with watching(server) as watch:
            old = await start_one_by_one(fleet, 3)
            await until(lambda: watch.now == 3 * ONE_MORE)
            async with admins(dsn):
                for process in old:
                    new = fleet.start()
                    await fleet.until_runs(lambda runs, new=new: new.pid in {r.pid for r in runs})
                    send(process, signal.SIGTERM)
                    assert 0 == await asyncio.to_thread(wait_for_exit, process)
        assert watch.most <= ROOM
        assert 3 == await count(dsn, "SELECT count(*) FROM pacewheel.workers WHERE dead_at IS NULL")
    finally:
        errors = fleet.end()
    assert "Traceback" not in errors
    assert "no connection slots" not in errors
