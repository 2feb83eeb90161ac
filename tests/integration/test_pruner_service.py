"""The pruner as a service: one process at a time, when it is due, beside everything else."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import asyncpg
import pytest

from pacewheel import Config, Engine, Outcome, Task
from pacewheel.errors import DataRefused, JobPruned, StoreUnavailable
from pacewheel.metrics import Metrics
from pacewheel.services import pruner as pruner_module
from pacewheel.services.pruner import Pruner, Run
from pacewheel.store.queries import load_queries
from pacewheel.store.retention import ALWAYS
from tests.conftest import execute, fetch, until, waits_for_a_lock
from tests.integration.old_rows import (
    KEEP,
    counts,
    make_older,
    no_pause,
    past_engine,
    pruned,
    ran,
)


def service(engine: Engine, worker_id: int = 1, **how: Any) -> tuple[Pruner, Metrics]:
    """A pruner on the engine's store, and its metrics."""
    metrics = Metrics()
    made = Pruner(
        store=engine.store.retention,
        metrics=metrics,
        worker_id=lambda: worker_id,
        keep=KEEP,
        **{"interval_s": 3600.0, "sleep": no_pause, **how},
    )
    return made, metrics


async def test_one_process_at_a_time_prunes_and_once_in_the_interval(
    past: Engine, dsn: str
) -> None:
    """The turn is free after a run and by silence; another run is due after the interval."""
    old, _ = await ran(past, "a.example"), await ran(past, "a.example")
    await past.run_until_idle()
    await past.connect()
    await make_older(dsn, 31, old.id)
    (one, metrics), (two, _) = service(past, 1), service(past, 2)
    assert await past.store.retention.take_turn(2, 60_000, 3_600_000)
    assert (await one.run_once()).is_nothing
    await execute(dsn, "UPDATE pacewheel.retention SET held_until = now()")
    assert 1 == (await one.run_once()).rows["jobs"]
    assert 5 == metrics.registry.get_sample_value("pacewheel_pruned_rows_total", {"table": "tasks"})
    assert metrics.registry.get_sample_value("pacewheel_prune_last_run_timestamp_seconds")
    assert not await past.store.retention.take_turn(2, 60_000, 3_600_000)
    await execute(dsn, "UPDATE pacewheel.retention SET next_at = now()")
    assert await past.store.retention.take_turn(2, 60_000, 3_600_000)
    assert (await two.run_once()).is_nothing


async def test_a_clock_that_was_wrong_stops_no_run_for_years(past: Engine, dsn: str) -> None:
    """The server's clock stood years ahead when a run began, or ended."""
    turn = past.store.retention.take_turn
    set_ahead = "UPDATE pacewheel.retention SET worker_id = 1, held_until = {}, next_at = {}"
    for times in (("now() + interval '9 years'", "now()"), ("now()", "now() + interval '9 years'")):
        await execute(dsn, set_ahead.format(*times))
        assert await turn(2, 60_000, 3_600_000)


async def test_a_run_stops_when_its_turn_was_taken(
    past: Engine, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was suspended in mid-run finds another one at it."""
    now_ms = 0.0
    monkeypatch.setattr(pruner_module, "monotonic_ms", lambda: now_ms)
    old, _ = await ran(past, "a.example"), await ran(past, "a.example")
    await past.run_until_idle()
    await past.connect()
    await make_older(dsn, 31, old.id)

    async def suspended(_pause_s: float) -> None:
        nonlocal now_ms
        now_ms += pruner_module.TURN_MS
        await execute(dsn, "UPDATE pacewheel.retention SET held_until = now()")
        await past.store.retention.take_turn(2, pruner_module.TURN_MS)

    one, _ = service(past, 1, sleep=suspended)
    assert {"jobs": 1} == (await one.run_once()).rows
    rows = await fetch(dsn, "SELECT worker_id FROM pacewheel.retention")
    assert [(2,)] == [tuple(row) for row in rows]


async def test_the_turn_is_kept_through_many_small_jobs(past: Engine, dsn: str) -> None:
    """Each is cleared by statements too short to pause after, and a hundred thousand of them take minutes."""
    old = [await ran(past, "a.example", 1) for _ in range(4)][:3]
    await past.run_until_idle()
    await past.connect()
    await make_older(dsn, 31, *(job.id for job in old))
    await execute(dsn, "TRUNCATE pacewheel.documents, pacewheel.link_lists")
    kept = 0

    async def keep_turn() -> None:
        nonlocal kept
        kept += 1

    run = Run(past.store.retention, KEEP, keep_turn=keep_turn, sleep=no_pause)
    await run.run()
    assert {"jobs": 3, "tasks": 3} == run.pruned.rows
    assert kept > len(old)


async def test_an_engine_prunes_by_itself(dsn: str) -> None:
    """Soon after its start, and now and then."""
    engine = past_engine(dsn)
    await engine.connect()
    old, _ = await ran(engine, "a.example"), await ran(engine, "a.example")
    await engine.run_until_idle()
    await make_older(dsn, 31, old.id)
    daily = Engine(dsn, config=Config(prune_interval_s=0.1))
    async with daily:

        async def is_gone() -> bool:
            return {"jobs": 0, "tasks": 0}.items() <= (await counts(dsn, old.id)).items()

        await until(is_gone)


async def test_what_can_not_be_removed_is_said_and_ends_nothing(
    past: Engine, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A right or a function is missing: the engine works, and what else is old goes."""
    old, _ = await ran(past, "a.example"), await ran(past, "a.example")
    await past.run_until_idle()
    await past.connect()
    await make_older(dsn, 31, old.id)
    await execute(dsn, "DROP FUNCTION pacewheel.drop_results")
    one, _ = service(past, interval_s=0.01, sleep=asyncio.sleep)
    await one.start()

    def failed_twice() -> bool:
        return 2 <= sum(vars(each).get("event") == "prune_failed" for each in caplog.records)

    await until(failed_twice)
    await one.stop()
    assert 0 == (await counts(dsn, old.id))["tasks"]


async def test_an_outage_is_waited_for_like_everywhere_else(
    past: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no failure of retention, and the next try is not an hour away."""
    asked = 0

    async def away(*_how: Any, **_also: Any) -> bool:
        nonlocal asked
        asked += 1
        raise StoreUnavailable("away")

    monkeypatch.setattr(past.store.retention, "take_turn", away)
    one, _ = service(past)
    await one.start()
    await until(lambda: asked >= 2, timeout_s=60.0)
    await one.stop()
    assert "prune_failed" not in [vars(each).get("event") for each in caplog.records]


async def test_a_domain_that_is_used_in_this_moment_stops_nothing_else(
    past: Engine, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The foreign key of its new job refuses the removal: the rest goes on."""

    async def refuse(*_how: Any) -> None:
        raise DataRefused("a job refers to it")

    monkeypatch.setattr(past.store.retention, "prune_domains", refuse)
    await execute(
        dsn,
        "INSERT INTO pacewheel.workers (host, pid, version, capacity, lease_until, dead_at)"
        " VALUES ('old', 1, '0', 1, now(), now() - interval '9 days')",
    )
    assert {"workers": 1} == (await pruned(past)).rows


async def test_starts_and_stops_in_any_order_leave_it_in_order(past: Engine) -> None:
    """Twenty at once, of one service, with runs in between."""
    one, _ = service(past, interval_s=0.1, sleep=asyncio.sleep)

    async def hammer(number: int) -> None:
        for _ in range(5):
            await one.start()
            await asyncio.sleep(0.001 * (number % 3))
            await one.stop()

    async with asyncio.timeout(30.0):
        await asyncio.gather(*(hammer(number) for number in range(20)))
    assert one._supervisor is None


async def test_old_jobs_go_while_an_engine_works_in_their_domain(dsn: str) -> None:
    """Nothing of what runs is lost, done twice or held up."""
    engine = past_engine(dsn)
    seen: list[str] = []

    @engine.handler("busy")
    async def busy(task: Task) -> Outcome:
        seen.append(task.target)
        return Outcome.completed()

    await engine.connect()
    old = [await ran(engine, "a.example", 200) for _ in range(3)]
    await ran(engine, "a.example", 1)
    await engine.run_until_idle()
    await make_older(dsn, 31, *(job.id for job in old))
    async with engine:
        job = await ran(engine, "a.example", 2_000, handler="busy")
        done = await pruned(engine)
        assert 600 == done.rows["tasks"]

        async def is_final() -> bool:
            return (await job.info()).status.is_final

        await until(is_final)
    assert (2_000, 2_000) == (len(seen), len(set(seen)))


async def test_a_partition_is_never_waited_for_before_it_is_created(past: Engine, dsn: str) -> None:
    """A report reads results for as long as it likes: who asked for its lock would stop all settles."""
    reader = await asyncpg.connect(dsn)
    async with reader.transaction():
        await reader.fetch("SELECT count(*) FROM pacewheel.results")
        with pytest.raises(StoreUnavailable, match=r"a lock .* was not to be had in time"):
            await past.store.ensure_partitions(10)
    await reader.close()
    assert 0 < await past.store.ensure_partitions(10)


async def test_a_job_whose_failed_tasks_are_run_again_is_not_removed_meanwhile(
    past: Engine, dsn: str
) -> None:
    """What failed has been read and the new job is about to come: the pruner passes over the old one."""
    old, _ = await ran(past, "a.example"), await ran(past, "a.example")
    await past.run_until_idle()
    await past.connect()
    await make_older(dsn, 31, old.id)
    await execute(dsn, f"UPDATE pacewheel.tasks SET status = 4 WHERE job_id = {old.id}")
    pruning = await asyncpg.connect(dsn)
    async with pruning.transaction():
        await pruning.execute("LOCK TABLE pacewheel.jobs IN SHARE MODE")
        retrying = asyncio.create_task(past.store.changes._retry_in_new_job(old.id, None))
        await until(partial(waits_for_a_lock, dsn), timeout_s=60.0)
        days = (KEEP.jobs_ms, KEEP.domains_ms, 500, ALWAYS, 0)
        row = await pruning.fetchrow(load_queries()["prune_jobs"], *days)
    new_id, tasks = await retrying
    assert (0, 5) == (row["jobs"], tasks)
    assert new_id > old.id
    assert 1 == (await pruned(past)).rows["jobs"]
    with pytest.raises(JobPruned):
        await past.store.changes._retry_in_new_job(old.id, None)
    await pruning.close()
