"""An occurrence is fired by one process, whoever dies when."""

from __future__ import annotations

import signal
from typing import Any

import asyncpg

from pacewheel import Engine, NewTask
from tests.conftest import execute, fetch, until
from tests.processes.fleet import Fleet, count, send

JOBS = "SELECT count(*) FROM pacewheel.jobs"


async def schedule(dsn: str, **values: Any) -> None:
    """Create a schedule of one task that takes no time."""
    engine = Engine(dsn)
    await engine.connect()
    await engine.schedules.create(
        "often", domain="d", handler="work", tasks=[NewTask("t")], **values
    )
    await engine.close()


async def test_processes_fire_each_occurrence_once_while_one_is_killed(
    dsn: str, fleet: Fleet
) -> None:
    """Three processes, an occurrence a second; a kill costs none and doubles none."""
    await schedule(dsn, every_s=1.0)
    processes = [fleet.start() for _ in range(3)]

    async def have_fired(number: int) -> None:
        async def so_many() -> bool:
            return await count(dsn, JOBS) >= number

        await until(so_many, timeout_s=30.0)

    await have_fired(3)
    send(processes[0], signal.SIGKILL)
    await have_fired(6)
    ((fired, skipped),) = await fetch(
        dsn, "UPDATE pacewheel.schedules SET paused = true RETURNING fired, skipped_overlap"
    )
    assert fired == await count(dsn, JOBS)
    # The killed one may have left a job running until its lease was over.
    assert skipped <= 5
    # A second apart: none was fired twice.
    gaps = await fetch(
        dsn,
        "SELECT extract(epoch FROM created_at - lag(created_at) OVER (ORDER BY id))::float8 AS s"
        " FROM pacewheel.jobs",
    )
    assert [] == [row["s"] for row in gaps if row["s"] is not None and row["s"] < 0.4]


async def test_a_process_killed_within_a_firing_leaves_it_to_another(
    dsn: str, fleet: Fleet
) -> None:
    """It had the schedule and had not committed the job: the next process makes it, once."""
    await schedule(dsn, every_s=3600.0)
    overdue = "UPDATE pacewheel.schedules SET next_at = now() - interval '1 minute'"
    await execute(dsn, overdue)
    blocker = await asyncpg.connect(dsn)
    blocking = blocker.transaction()
    await blocking.start()
    # A job refers to its domain, so making one waits for this.
    await blocker.execute("SELECT FROM pacewheel.domains FOR UPDATE")
    first = fleet.start()

    async def is_within() -> bool:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return await count(dsn, waits + " AND query LIKE '%INSERT INTO pacewheel.jobs%'") == 1

    await until(is_within, timeout_s=20.0)
    send(first, signal.SIGKILL)
    first.wait()
    fleet.start()
    await blocking.rollback()
    await blocker.close()
    await fleet.until_runs(lambda runs: len(runs) == 1)
    await fleet.until_all_settled()
    assert 1 == await count(dsn, JOBS)
    assert 1 == await count(dsn, "SELECT fired FROM pacewheel.schedules WHERE next_at > now()")
