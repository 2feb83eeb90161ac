"""How an engine ends: a part of it that gave up, and a stop that is cut short."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pacewheel import Config, Engine, JobState, NewTask, Task, service
from pacewheel.errors import EngineFailed, SchemaMismatch
from pacewheel.store.tasks import PostgresTasks
from tests.conftest import execute, fetch


async def an_engine_with_a_task(dsn: str) -> Engine:
    """Return an engine, connected, whose one task does nothing, with a long grace."""
    engine = Engine(dsn, config=Config(grace_s=60))

    @engine.handler("note")
    async def note(_task: Task) -> None:
        return None

    await engine.connect()
    await engine.create_job(
        domain="a.example", handler="note", tasks=[NewTask("t")], discovery_open=False
    )
    return engine


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (AssertionError("broken"), EngineFailed, "the settler failed again and again"),
        (SchemaMismatch("run 'pacewheel migrate'"), SchemaMismatch, "^run 'pacewheel migrate'$"),
    ],
    ids=["a defect", "an error that names the next step"],
)
async def test_a_part_that_gives_up_ends_run_until_idle_and_a_new_start_works(
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    raised: type[Exception],
    said: str,
) -> None:
    """Tasks that are not settled, and never will be, are not waited for, nor is a grace."""
    monkeypatch.setattr(service, "RESTART_PAUSE_S", 0.001)
    engine = await an_engine_with_a_task(dsn)

    async def fail(*_args: Any) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(PostgresTasks, "settle_tasks", fail)
        with pytest.raises(raised, match=said):
            await asyncio.wait_for(engine.run_until_idle(), 60)
    crashes = engine.metrics.value("pacewheel_service_crashes_total", service="settler")
    assert service.CRASHES_IN_A_ROW_MAX == crashes

    await asyncio.wait_for(engine.run_until_idle(), 60)
    rows = await fetch(dsn, "SELECT status FROM pacewheel.jobs")
    assert [JobState.COMPLETED] == [row["status"] for row in rows]


async def test_a_stop_that_is_cut_short_interrupts_and_gives_everything_back(dsn: str) -> None:
    """A second signal, or a timeout around it, cancels a stop: no attempt is lost, no lease waited for."""
    engine = Engine(dsn)
    started = asyncio.Event()

    @engine.handler("endless")
    async def endless(_task: Task) -> None:
        started.set()
        await asyncio.Event().wait()

    await engine.start()
    await engine.create_job(domain="a.example", handler="endless", tasks=[NewTask("t")])
    await started.wait()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await engine.stop(60.0)

    rows = await fetch(dsn, "SELECT owner, in_flight FROM pacewheel.domains")
    assert [(None, [])] == [tuple(row) for row in rows]
    rows = await fetch(dsn, "SELECT attempt FROM pacewheel.tasks")
    assert [(0,)] == [tuple(row) for row in rows]
    rows = await fetch(dsn, "SELECT count(*) FROM pacewheel.workers WHERE dead_at IS NULL")
    assert [(0,)] == [tuple(row) for row in rows]


async def test_an_engine_whose_schema_is_gone_stops_all_the_same(dsn: str) -> None:
    """What it can't give back any more is said; no part of it runs on."""
    engine = await an_engine_with_a_task(dsn)
    await engine.start()
    await execute(dsn, "DROP SCHEMA pacewheel CASCADE")
    await engine.stop(0.0)
    running = [task.get_name() for task in asyncio.all_tasks()]
    assert [] == [name for name in running if name.startswith("pacewheel")]
