"""The database stands still or turns read-only under several processes: nobody is taken for dead."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.conftest import FAST, execute, fetch, until
from tests.own_server import OwnServer, migrated, running
from tests.processes.conftest import CRASH_WORDS
from tests.processes.fleet import Fleet, Run, count, create_jobs, send, wait_for_exit

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


async def share_out(fleet: Fleet, processes: int) -> dict[str, int]:
    """Start so many processes on all domains, wait for equal shares; return who owns what."""
    started = [fleet.start() for _ in range(processes)]

    async def shares_are_equal() -> bool:
        held = Counter((await fleet.owners()).values())
        return all(held[process.pid] == len(DOMAINS) // processes for process in started)

    await until(shares_are_equal, timeout_s=20)
    return await fleet.owners()


async def check_that_nobody_died(fleet: Fleet, owners: dict[str, int], tasks: int) -> None:
    """Assert that each task was settled once, by an owner of before, in its first attempt."""
    await fleet.until_all_settled(timeout_s=60)
    query = "SELECT count(*) FROM pacewheel.workers WHERE dead_at IS NOT NULL"
    assert 0 == await count(fleet.dsn, query)
    rows = await fetch(
        fleet.dsn, "SELECT attempt, outcome, count(*) FROM pacewheel.results GROUP BY 1, 2"
    )
    assert [(1, 3, tasks)] == [tuple(row) for row in rows]
    assert set(owners.values()) == fleet.pids()


@pytest.mark.parametrize("stall_s", [3.0, 7.0])
async def test_a_stall_of_the_database_declares_nobody_dead(
    server: OwnServer, own_fleet: Fleet, own_dsn: str, stall_s: float
) -> None:
    """Longer than a lease, and than a heartbeat waits: whoever comes back first spares the others."""
    await create_jobs(own_dsn, DOMAINS, 150, concurrency=2, hold_ms=100)
    owners = await share_out(own_fleet, 3)
    server.freeze()
    try:
        await asyncio.sleep(stall_s)
    finally:
        server.thaw()
    await check_that_nobody_died(own_fleet, owners, 150 * len(DOMAINS))
    assert own_fleet.runs()


async def test_a_death_during_a_stall_is_found_in_time(
    server: OwnServer, own_fleet: Fleet, own_dsn: str
) -> None:
    """Within twice the lease after the database is back, though all leases had run out."""
    await create_jobs(own_dsn, DOMAINS, 150, concurrency=2, hold_ms=100)
    owners = await share_out(own_fleet, 2)
    victim = next(process for process in own_fleet._all if process.pid in owners.values())
    server.freeze()
    try:
        send(victim, signal.SIGKILL)
        wait_for_exit(victim)
        await asyncio.sleep(FAST["lease_ttl_s"] * 1.5)
    finally:
        server.thaw()
    back_ns = time.monotonic_ns()
    orphans = {name for name, pid in owners.items() if pid == victim.pid}

    def orphans_run_again(runs: list[Run]) -> bool:
        return orphans <= {run.domain for run in runs if run.start_ns > back_ns}

    await own_fleet.until_runs(orphans_run_again)
    assert 2 * FAST["lease_ttl_s"] > (time.monotonic_ns() - back_ns) / 1e9 - 0.5
    await own_fleet.until_all_settled(timeout_s=60)


async def test_a_server_that_turns_read_only_is_waited_for(
    server: OwnServer, own_fleet: Fleet, own_dsn: str
) -> None:
    """As in a failover: no process ends, and what ran meanwhile is settled when it can be written."""
    await create_jobs(own_dsn, DOMAINS, 150, concurrency=2, hold_ms=100)
    owners = await share_out(own_fleet, 2)
    await execute(server.dsn(), READ_ONLY, RELOAD)
    try:
        await asyncio.sleep(FAST["lease_ttl_s"] * 1.5)
    finally:
        await execute(server.dsn(), "SET default_transaction_read_only = off", WRITABLE, RELOAD)
    await check_that_nobody_died(own_fleet, owners, 150 * len(DOMAINS))


async def test_a_daemon_that_starts_before_its_database_waits(
    server: OwnServer, own_fleet: Fleet, own_dsn: str
) -> None:
    """It says so once, works as soon as the database is there, and declares nobody dead for it."""
    await create_jobs(own_dsn, DOMAINS, 150, concurrency=2, hold_ms=100)
    owners = await share_out(own_fleet, 2)
    server.kill()
    late = own_fleet.start()
    path = own_fleet._directory / f"worker-{len(own_fleet._all) - 1}.err"
    await until(lambda: WAITS in path.read_text(), timeout_s=20)
    await asyncio.sleep(FAST["lease_ttl_s"] * 1.5)
    await asyncio.to_thread(server.start)

    def the_late_one_works(runs: list[Run]) -> bool:
        return late.pid in {run.pid for run in runs}

    await own_fleet.until_runs(the_late_one_works)
    owners["late"] = late.pid
    await check_that_nobody_died(own_fleet, owners, 150 * len(DOMAINS))
    assert 1 == path.read_text().count(WAITS)


async def test_a_daemon_that_waits_for_its_database_can_be_stopped(
    server: OwnServer, own_fleet: Fleet
) -> None:
    """SIGTERM ends it in order, though it never started."""
    server.kill()
    try:
        waiting = own_fleet.start()
        path = own_fleet._directory / "worker-0.err"
        await until(lambda: WAITS in path.read_text(), timeout_s=20)
        send(waiting, signal.SIGTERM)
        assert 0 == wait_for_exit(waiting)
    finally:
        await asyncio.to_thread(server.start)
