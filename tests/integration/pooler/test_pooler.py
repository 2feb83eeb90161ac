"""What is different behind a transaction pooler, and what must not be."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import asyncpg
import pytest

from pacewheel import Config, Engine, NewTask, Task
from pacewheel.errors import StoreUnavailable
from pacewheel.store import migrate, pending
from tests.commands import ran
from tests.conftest import FAST, fetch, until
from tests.integration.pooler.conftest import POOL_SIZE
from tests.pgbouncer import PgBouncer
from tests.processes.fleet import LONG_LEASE, Fleet, count, create_jobs

DOMAINS = 6
TASKS_A_JOB = 150


async def test_the_pooler_takes_prepared_statements_away(pooler: PgBouncer, dsn: str) -> None:
    """So a client that keeps them fails here, and what passes behind this pooler keeps none."""
    first, *others = [await asyncpg.connect(pooler.through(dsn)) for _ in range(POOL_SIZE)]
    connection = "SELECT pg_backend_pid()"
    try:
        prepared_on = await first.fetchval(connection)
        for other in others:
            await other.execute("BEGIN")
            if await other.fetchval(connection) == prepared_on:
                break
        else:
            pytest.fail("the pooler keeps the client's connection for it")
        with pytest.raises(asyncpg.InvalidSQLStatementNameError):
            await first.fetchval(connection)
    finally:
        for client in (first, *others):
            client.terminate()


async def test_a_pooler_that_nobody_told_of_is_told_of(pooler: PgBouncer, dsn: str) -> None:
    """It refuses the settings of a direct connection; the error says what to set."""
    with pytest.raises(StoreUnavailable, match=r"unsupported startup parameter.*set pooler=true"):
        await Engine(pooler.through(dsn)).connect()


async def test_migrations_run_through_it(pooler: PgBouncer, empty_dsn: str) -> None:
    """Two at once, as two processes start: one applies them all, the other finds them applied."""
    through = pooler.through(empty_dsn)
    assert await pending(through, "pacewheel", pooler=True)
    applied = await asyncio.gather(*(migrate(through, "pacewheel", pooler=True) for _ in range(2)))
    assert sorted(map(len, applied)) == [0, max(map(len, applied))]
    assert [] == await pending(through, "pacewheel", pooler=True)


async def statements_left(pooler: PgBouncer, dsn: str) -> list[list[str]]:
    """The names of the prepared statements that each of the pooler's connections holds."""
    look = (
        "SELECT pg_backend_pid() AS pid, pg_sleep(0.3),"
        " ARRAY(SELECT name FROM pg_prepared_statements WHERE name <> '') AS names"
    )
    clients = [
        await asyncpg.connect(pooler.through(dsn), statement_cache_size=0) for _ in range(POOL_SIZE)
    ]
    rows = await asyncio.gather(*(client.fetchrow(look) for client in clients))
    for client in clients:
        await client.close()
    assert POOL_SIZE == len({row["pid"] for row in rows})
    return [row["names"] for row in rows]


@pytest.mark.usefixtures("engines_through_it")
async def test_several_processes_do_all_tasks_once_and_leave_no_statement_behind(
    pooler: PgBouncer, dsn: str, tmp_path: Path
) -> None:
    """Three processes over a pool of three connections, each connection serving all of them in turn."""
    fleet = Fleet(pooler.through(dsn), tmp_path)
    try:
        for _ in range(3):
            fleet.start(pooler=True, **LONG_LEASE)

        async def all_are_registered() -> bool:
            alive = "SELECT count(*) FROM pacewheel.workers WHERE dead_at IS NULL"
            return 3 == await count(dsn, alive)

        await until(all_are_registered)
        fleet.dsn = dsn
        names = [f"d{number}.example" for number in range(DOMAINS)]
        await create_jobs(dsn, names, TASKS_A_JOB, hold_ms=30)
        await fleet.until_all_settled()
        left = await statements_left(pooler, dsn)
    finally:
        errors = fleet.end()
    assert [[]] * POOL_SIZE == left
    assert "Traceback" not in errors
    assert "prepared statement" not in errors + pooler.log()
    runs = fleet.runs()
    assert DOMAINS * TASKS_A_JOB == len(runs) == len({(run.job, run.task) for run in runs})
    assert 3 == len(fleet.pids())
    (sums,) = await fetch(
        dsn, "SELECT sum(completed), sum(pending), sum(waiting) FROM pacewheel.jobs"
    )
    assert (DOMAINS * TASKS_A_JOB, 0, 0) == tuple(sums)


class Noting:
    """An engine through the pooler that notes what it is given."""

    def __init__(self, dsn: str, **settings: object) -> None:
        self.engine = Engine(dsn, config=Config(pooler=True, **settings))  # type: ignore[arg-type]  # any
        self.seen: list[str] = []

        @self.engine.handler("note")
        async def note(task: Task) -> None:
            self.seen.append(task.target)


async def test_without_hints_the_sweep_finds_new_work(
    pooler: PgBouncer, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """New domains at the next heartbeat, new tasks of a held one by the next sweep; the log says so."""
    work = Noting(pooler.through(dsn), **{**FAST, "sweep_s": 0.5})
    with caplog.at_level(logging.INFO, logger="pacewheel"):
        async with work.engine:
            job = await work.engine.create_job(
                domain="a.example", handler="note", tasks=[NewTask("first")]
            )
            await until(lambda: "first" in work.seen)
            await job.enqueue([NewTask("second")])
            await until(lambda: "second" in work.seen)
    assert "no hints through a pooler" in caplog.text
    assert "up to 70 connections for work to the pooler at 127.0.0.1" in caplog.text


async def test_with_a_direct_dsn_hints_arrive(pooler: PgBouncer, dsn: str) -> None:
    """The sweep is a minute away, and the work starts long before."""
    work = Noting(pooler.through(dsn), direct_dsn=dsn)
    async with work.engine:
        await until(lambda: work.engine.metrics.value("pacewheel_listener_up") == 1)
        job = await work.engine.create_job(domain="a.example", handler="note")
        for number in range(3):
            await job.enqueue([NewTask(f"{number}")])
            await until(lambda number=number: f"{number}" in work.seen)


async def test_with_a_direct_dsn_a_saturated_pooler_starves_no_heartbeat(
    pooler: PgBouncer, dsn: str
) -> None:
    """All of the pooler's connections wait for a lock, and more statements for them: the worker beats on."""
    engine = Engine(
        pooler.through(dsn), config=Config(**FAST, pooler=True, pool_max=10, direct_dsn=dsn)
    )
    leases = set()

    async def waits() -> bool:
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return await count(dsn, locks) == POOL_SIZE

    async def beats() -> bool:
        (worker,) = await fetch(dsn, "SELECT lease_until, dead_at FROM pacewheel.workers")
        assert worker["dead_at"] is None
        leases.add(worker["lease_until"])
        # The one that it had, one that was on its way, and more.
        return len(leases) > 4

    blocker = await asyncpg.connect(dsn)
    await blocker.execute("SELECT pg_advisory_lock(1)")
    async with engine:
        pool = engine.store._pool
        tasks = [
            asyncio.create_task(pool.fetch("SELECT pg_advisory_xact_lock(1)"))
            for _ in range(POOL_SIZE)
        ]
        await until(waits)
        tasks += [asyncio.create_task(pool.fetch("SELECT 1")) for _ in range(POOL_SIZE)]
        await until(beats)
        assert not any(task.done() for task in tasks)
        await blocker.close()
        await asyncio.gather(*tasks)


async def test_the_doctor_works_through_it(dsn: str, pooler: PgBouncer) -> None:
    """Of hints it says that none come this way, and counts no connections."""
    code, out, err = await ran("doctor", "--json", "--pooler", "--dsn", pooler.through(dsn))
    assert (7, "") == (code, err), out
    found = {each["check"]: each for each in json.loads(out)["findings"]}
    # This server doesn't sync, which is a finding too.
    assert ["settings", "hints"] == [
        check for check, each in found.items() if each["level"] != "ok"
    ]
    assert "set direct_dsn" in found["hints"]["next_step"]
    assert "behind a pooler" in found["connections"]["words"]
