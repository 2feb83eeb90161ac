"""The database stands still or turns read-only under several processes: nobody is taken for dead."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pacewheel.store.leases import HEARTBEAT_TIMEOUT_S
from tests.conftest import FAST, execute, fetch, until
from tests.own_server import OwnServer, migrated, running
from tests.processes.conftest import CRASH_WORDS
from tests.processes.fleet import (
    FED_TASKS,
    Feed,
    Fleet,
    count,
    feed,
    send,
    wait_for_exit,
)

DOMAINS = [f"d{number}" for number in range(6)]
READ_ONLY = "ALTER SYSTEM SET default_transaction_read_only = on"
WRITABLE = "ALTER SYSTEM RESET default_transaction_read_only"
WAITS = "the database is away, and waited for"
RELOAD = "SELECT pg_reload_conf()"


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server of this module's own."""
    with running() as own:
        yield own


@pytest.fixture
async def own_dsn(server: OwnServer) -> AsyncIterator[str]:
    """An empty database on it, migrated."""
    async with migrated(server) as work_dsn:
        yield work_dsn


@pytest.fixture
def own_fleet(own_dsn: str, tmp_path: Path) -> Iterator[Fleet]:
    """Worker processes on it."""
    started = Fleet(own_dsn, tmp_path)
    yield started
    errors = started.end()
    if any(word in errors for word in CRASH_WORDS):
        pytest.fail(f"a worker crashed:\n{errors}")


async def work_shared_by(fleet: Fleet, processes: int) -> tuple[Feed, dict[str, int]]:
    """Start so many processes on work for all domains; return it, and who owns what at equal shares."""
    work = await feed(fleet.dsn, DOMAINS, concurrency=2, hold_ms=100)
    started = [fleet.start() for _ in range(processes)]

    async def shares_are_equal() -> bool:
        held = Counter((await fleet.owners()).values())
        return all(held[process.pid] == len(DOMAINS) // processes for process in started)

    await work.until(shares_are_equal)
    return work, await fleet.owners()


async def until_they_run(domains: set[str], fleet: Fleet, work: Feed) -> None:
    """Wait until tasks of all these domains have started since this was called."""
    from_ns = time.monotonic_ns()

    def all_run() -> bool:
        return domains <= {run.domain for run in fleet.runs() if run.start_ns > from_ns}

    await work.until(all_run)


async def check_that_nobody_died(fleet: Fleet, owners: dict[str, int], work: Feed) -> None:
    """Assert that each task was settled once, by an owner of before, in its first attempt."""
    # So that each has something to do after what happened.
    await work.add(FED_TASKS)
    await work.close()
    await fleet.until_all_settled()
    query = "SELECT count(*) FROM pacewheel.workers WHERE dead_at IS NOT NULL"
    assert 0 == await count(fleet.dsn, query)
    rows = await fetch(
        fleet.dsn, "SELECT attempt, outcome, count(*) FROM pacewheel.results GROUP BY 1, 2"
    )
    assert [(1, 3, len(work.every_task()))] == [tuple(row) for row in rows]
    assert set(owners.values()) == fleet.pids()


async def test_a_stall_of_the_database_declares_nobody_dead(
    server: OwnServer, own_fleet: Fleet
) -> None:
    """Longer than a lease, and than a heartbeat waits: whoever comes back first spares the others."""
    work, owners = await work_shared_by(own_fleet, 3)
    for stall_s in (FAST["lease_ttl_s"] * 1.5, HEARTBEAT_TIMEOUT_S + 1.5):
        server.freeze()
        try:
            await asyncio.sleep(stall_s)
        finally:
            server.thaw()
        await until_they_run(set(DOMAINS), own_fleet, work)
    await check_that_nobody_died(own_fleet, owners, work)


async def test_a_death_during_a_stall_is_found(server: OwnServer, own_fleet: Fleet) -> None:
    """By a heartbeat after the database is back, though all leases had run out."""
    work, owners = await work_shared_by(own_fleet, 2)
    victim = next(process for process in own_fleet._all if process.pid in owners.values())
    server.freeze()
    try:
        send(victim, signal.SIGKILL)
        wait_for_exit(victim)
        await asyncio.sleep(FAST["lease_ttl_s"] * 1.5)
    finally:
        server.thaw()
    orphans = {name for name, pid in owners.items() if pid == victim.pid}
    await until_they_run(orphans, own_fleet, work)
    await work.close()
    await own_fleet.until_all_settled()


async def test_a_server_that_turns_read_only_is_waited_for(
    server: OwnServer, own_fleet: Fleet
) -> None:
    """As in a failover: no process ends, and what ran meanwhile is settled when it can be written."""
    work, owners = await work_shared_by(own_fleet, 2)
    await execute(server.dsn(), READ_ONLY, RELOAD)
    try:
        await asyncio.sleep(FAST["lease_ttl_s"] * 1.5)
    finally:
        await execute(server.dsn(), "SET default_transaction_read_only = off", WRITABLE, RELOAD)
    await until(lambda: can_write(own_fleet.dsn))
    await check_that_nobody_died(own_fleet, owners, work)


async def can_write(dsn: str) -> bool:
    """Tell whether a new session may write: the server takes its time to read its settings anew."""
    (row,) = await fetch(dsn, "SHOW default_transaction_read_only")
    return "off" == row[0]


async def test_a_daemon_that_starts_before_its_database_waits(
    server: OwnServer, own_fleet: Fleet
) -> None:
    """It says so once, works as soon as the database is there, and declares nobody dead for it."""
    work, owners = await work_shared_by(own_fleet, 2)
    server.kill()
    late = own_fleet.start()
    path = own_fleet._directory / f"worker-{len(own_fleet._all) - 1}.err"
    await until(lambda: WAITS in path.read_text())
    await asyncio.sleep(FAST["lease_ttl_s"] * 1.5)
    await asyncio.to_thread(server.start)
    await work.until(lambda: late.pid in own_fleet.pids())
    owners["late"] = late.pid
    await check_that_nobody_died(own_fleet, owners, work)
    assert 1 == path.read_text().count(WAITS)


async def test_a_daemon_that_waits_for_its_database_can_be_stopped(
    server: OwnServer, own_fleet: Fleet
) -> None:
    """SIGTERM ends it in order, though it never started."""
    server.kill()
    try:
        waiting = own_fleet.start()
        path = own_fleet._directory / "worker-0.err"
        await until(lambda: WAITS in path.read_text())
        send(waiting, signal.SIGTERM)
        assert 0 == wait_for_exit(waiting)
    finally:
        await asyncio.to_thread(server.start)
