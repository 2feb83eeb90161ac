"""Schedules: one job an occurrence, none while the last is live, one for an outage, none in a pause."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any

import pytest

from pacewheel import Engine, JobState, NewTask, ScheduleInfo, Task
from pacewheel.errors import (
    ConfigInvalid,
    DataRefused,
    ScheduleExists,
    ScheduleLive,
    ScheduleUnknown,
)
from pacewheel.metrics import Metrics
from pacewheel.services.scheduler import Scheduler
from tests.conftest import execute, fetch, until

HOUR_S = 3600.0
OVERDUE = "UPDATE pacewheel.schedules SET next_at = next_at - interval '1 hour'"
END_ALL = (
    "UPDATE pacewheel.tasks SET status = 3, finished_at = now() WHERE status < 2",
    "UPDATE pacewheel.jobs SET status = 3, finished_at = now(), pending = 0, completed = total",
)


async def hourly(engine: Engine, name: str = "hourly", **values: Any) -> ScheduleInfo:
    """A schedule of one task that is due in an hour."""
    given = {"every_s": HOUR_S, "tasks": [NewTask("first")], **values}
    return await engine.schedules.create(name, domain="a.example", handler="note", **given)


def scheduler(engine: Engine) -> Scheduler:
    """The service, to be driven by hand."""
    return Scheduler(store=engine.store.schedules, metrics=engine.metrics)


async def jobs(dsn: str) -> int:
    """How many jobs there are."""
    number: int = (await fetch(dsn, "SELECT count(*) FROM pacewheel.jobs"))[0][0]
    return number


async def clock(dsn: str) -> datetime:
    """The database's time."""
    now: datetime = (await fetch(dsn, "SELECT clock_timestamp()"))[0][0]
    return now


async def test_a_schedule_is_kept_with_all_it_was_created_with(engine: Engine, dsn: str) -> None:
    """Its first occurrence is one interval, or the next time that the expression names, ahead."""
    tasks = [NewTask("t", key="k", priority=0.5, payload={"a": [1]}, ready_in_s=2.5), NewTask("u")]
    made = await engine.schedules.create(
        "nightly",
        domain="a.example",
        handler="note",
        tasks=tasks,
        cron="30 3 * * 1-5",
        zone="Europe/Berlin",
        concurrency=3,
        priority=1.5,
        max_tasks=7,
        domain_delay_ms=250,
        options={"links": False},
        expiring_first=True,
    )
    assert tasks == made.tasks
    assert ("30 3 * * 1-5", None, "Europe/Berlin") == (made.cron, made.every_s, made.zone)
    assert (3, 1.5, 7, 250) == (
        made.concurrency,
        made.priority,
        made.max_tasks,
        made.domain_delay_ms,
    )
    assert ({"links": False}, True) == (made.options, made.expiring_first)
    assert (None, None, 0, 0, False) == (
        made.last_job_id,
        made.last_job_state,
        made.fired,
        made.skipped_overlap,
        made.paused,
    )
    local = made.next_at.astimezone(made.recurrence.time_zone())
    assert (3, 30, True) == (local.hour, local.minute, local.weekday() < 5)
    now = await clock(dsn)
    other = await hourly(engine)
    assert timedelta(0) <= other.next_at - now - timedelta(hours=1) < timedelta(seconds=10)
    assert [other, made] == await engine.schedules.list_all()
    assert made == await engine.schedules.get("nightly")


async def test_what_can_t_be_a_schedule_is_refused(engine: Engine) -> None:
    """A name that is taken or unreadable, no time, no task, a job that can't be; nothing is kept."""
    await hourly(engine)
    with pytest.raises(ScheduleExists, match="'hourly' already"):
        await hourly(engine)
    for values, words in (
        ({"name": "no spaces"}, "schedule name"),
        ({"name": ""}, "schedule name"),
        ({"cron": "0 3 * * *"}, "either"),
        ({"every_s": None}, "either"),
        ({"every_s": None, "cron": "0 25 * * *"}, "Bad hour"),
        ({"zone": "Mars/Olympus"}, "time zone"),
        ({"tasks": []}, "1 to 1000 first tasks"),
        ({"tasks": [NewTask("t")] * 1001}, "1 to 1000 first tasks"),
        ({"tasks": [NewTask("t", priority=float("inf"))]}, "finite"),
        ({"concurrency": 0}, "concurrency"),
        ({"priority": float("nan")}, "finite"),
    ):
        with pytest.raises(ConfigInvalid, match=words):
            await hourly(engine, **{"name": "other", **values})
    for task in (NewTask("t", payload={"a": object()}), NewTask("t", ready_in_s=float("nan"))):
        with pytest.raises(DataRefused):
            await hourly(engine, name="other", tasks=[task])
    assert ["hourly"] == [info.name for info in await engine.schedules.list_all()]
    for change in ("get", "pause", "resume", "remove", "fire"):
        with pytest.raises(ScheduleUnknown, match="no schedule 'unknown'"):
            await getattr(engine.schedules, change)("unknown")


async def test_an_occurrence_is_fired_once_however_many_try(engine: Engine, dsn: str) -> None:
    """Twenty at once on two stores, again and again: a job an occurrence, and the next lies ahead."""
    other = Engine(dsn)
    await other.connect()
    await hourly(engine)
    for occurrence in range(1, 6):
        await execute(dsn, OVERDUE, *END_ALL)
        tries = [each.store.schedules.fire_due() for each in (engine, other) for _ in range(10)]
        fired = [firing for firing in await asyncio.gather(*tries) if firing is not None]
        assert [occurrence] == [firing.job_id for firing in fired]
        info = await engine.schedules.get("hourly")
        assert (occurrence, occurrence) == (info.fired, info.last_job_id)
        assert await clock(dsn) < info.next_at == fired[0].next_at
    assert 5 == await jobs(dsn)
    await other.close()


async def test_a_fired_job_is_the_one_that_was_asked_for_and_ends_with_its_tasks(
    engine: Engine, dsn: str
) -> None:
    """Options, limits, the domain's gap, and no discovery that stays open."""
    options = {"user_agent": "me"}
    tasks = [NewTask("t", key="k", payload={"kind": "page"}), NewTask("u", priority=0.25)]
    await hourly(
        engine,
        tasks=tasks,
        options=options,
        concurrency=2,
        priority=0.5,
        max_tasks=9,
        domain_delay_ms=300,
    )
    await engine.create_job(domain="a.example", handler="note", domain_delay_ms=50)
    job = await engine.schedules.fire("hourly")
    info = await job.info()
    assert ("a.example", "note", options) == (info.domain, info.handler, info.options)
    assert (2, 0.5, 9, 300) == (info.concurrency, info.priority, info.max_tasks, info.gap_ms)
    assert (False, 2, 2) == (info.discovery_open, info.total, info.pending)
    rows = await fetch(
        dsn, "SELECT target, key, priority, payload FROM pacewheel.tasks ORDER BY target"
    )
    assert [("t", "k", 0.0, '{"kind": "page"}'), ("u", None, 0.25, None)] == list(map(tuple, rows))


async def test_missed_occurrences_come_to_one(engine: Engine, dsn: str) -> None:
    """After ten hours without anybody an hourly schedule fires once, and goes on in its rhythm."""
    before = await hourly(engine)
    await execute(dsn, OVERDUE.replace("'1 hour'", "'10 hours 20 minutes'"))
    assert 1 == await scheduler(engine).run_once()
    assert 1 == await jobs(dsn)
    after = await engine.schedules.get("hourly")
    assert before.next_at - timedelta(minutes=20) == after.next_at


async def test_no_job_is_made_while_the_last_is_live(
    engine: Engine, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Skipped, counted and said; the occurrence after its end is fired. A paused job is live too."""
    await hourly(engine)
    service = scheduler(engine)
    for skipped in range(3):
        await execute(dsn, OVERDUE)
        assert 1 == await service.run_once()
        info = await engine.schedules.get("hourly")
        assert (1, 1, skipped) == (info.last_job_id, info.fired, info.skipped_overlap)
    assert "schedule hourly: an occurrence is skipped, for job 1 is still live" in caplog.text
    with pytest.raises(ScheduleLive, match="job 1 of schedule 'hourly' is still live"):
        await engine.schedules.fire("hourly")
    await (await engine.get_job(1)).pause()
    await execute(dsn, OVERDUE)
    await service.run_once()
    assert 1 == await jobs(dsn)
    await (await engine.get_job(1)).cancel()
    await execute(dsn, OVERDUE)
    await service.run_once()
    info = await engine.schedules.get("hourly")
    assert (2, 2, 3) == (info.last_job_id, info.fired, info.skipped_overlap)
    outcomes = {
        outcome: engine.metrics.value("pacewheel_schedule_occurrences_total", outcome=outcome)
        for outcome in ("fired", "skipped_overlap")
    }
    assert {"fired": 2, "skipped_overlap": 3} == outcomes


async def test_a_paused_schedule_fires_only_by_hand(engine: Engine, dsn: str) -> None:
    """What was due in the pause is left out; the rhythm stays."""
    made = await hourly(engine)
    assert await engine.schedules.pause("hourly")
    assert not await engine.schedules.pause("hourly")
    await execute(dsn, OVERDUE.replace("'1 hour'", "'1 hour 10 minutes'"))
    assert 0 == await scheduler(engine).run_once()
    assert await engine.store.schedules.find_next_occurrence() is None
    job = await engine.schedules.fire("hourly")
    assert (1, 1) == (job.id, (await engine.schedules.get("hourly")).last_job_id)
    assert await engine.schedules.resume("hourly")
    assert not await engine.schedules.resume("hourly")
    assert 0 == await scheduler(engine).run_once()
    after = await engine.schedules.get("hourly")
    assert (made.next_at - timedelta(minutes=10), False) == (after.next_at, after.paused)


async def test_a_removed_schedule_leaves_its_jobs(engine: Engine, dsn: str) -> None:
    """Nothing fires any more; its name is free."""
    await hourly(engine)
    job = await engine.schedules.fire("hourly")
    await engine.schedules.remove("hourly")
    assert 0 == await scheduler(engine).run_once()
    assert JobState.PENDING is (await job.info()).status
    assert 0 == (await hourly(engine)).fired


async def test_what_can_t_be_fired_is_paused_and_stands_in_nobody_s_way(
    engine: Engine, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A time zone that this machine doesn't know, a task that no row holds: said, paused; others fire."""
    await hourly(engine, name="lost")
    await hourly(engine, name="broken")
    await hourly(engine, name="sound")
    await execute(
        dsn,
        OVERDUE,
        "UPDATE pacewheel.schedules SET zone = 'Mars/Olympus' WHERE name = 'lost'",
        'UPDATE pacewheel.schedules SET tasks = \'[{"target": "t", "priority": null}]\''
        " WHERE name = 'broken'",
    )
    with caplog.at_level(logging.INFO):
        assert 3 == await scheduler(engine).run_once()
    assert "schedule broken is paused: database" in caplog.text
    assert "schedule lost is paused: time zone 'Mars/Olympus' is unknown" in caplog.text
    states = [(info.name, info.paused, info.fired) for info in await engine.schedules.list_all()]
    assert [("broken", True, 0), ("lost", True, 0), ("sound", False, 1)] == states
    assert 1 == await jobs(dsn)


async def test_what_another_process_could_fire_is_not_paused(engine: Engine, dsn: str) -> None:
    """A process that knows no such zone gives the row up; one that does is faster than its pause."""
    made = await hourly(engine)
    assert await engine.store.schedules._pause_faulty(made.id, "unknown zone") is None
    assert made == await engine.schedules.get("hourly")
    await execute(dsn, OVERDUE)
    firing = await engine.store.schedules._pause_faulty(made.id, "unknown zone")
    assert firing is not None
    assert ("unknown zone", True) == (firing.fault, (await engine.schedules.get("hourly")).paused)


async def test_what_a_newer_version_has_written_is_said_and_stops_nobody(
    engine: Engine, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A task with a member that this version doesn't know: not fired without it, and still listed."""
    await hourly(engine, name="newer")
    await hourly(engine, name="sound")
    await execute(
        dsn,
        OVERDUE,
        'UPDATE pacewheel.schedules SET tasks = \'[{"target": "t", "deadline_s": 9}]\''
        " WHERE name = 'newer'",
    )
    with pytest.raises(DataRefused, match="deadline_s"):
        await engine.schedules.fire("newer")
    assert 2 == await scheduler(engine).run_once()
    assert (
        "schedule newer is paused: its tasks have 'deadline_s', which this version" in caplog.text
    )
    states = [(info.name, info.paused, info.fired) for info in await engine.schedules.list_all()]
    assert [("newer", True, 0), ("sound", False, 1)] == states
    assert await engine.schedules.resume("newer")


async def test_a_running_engine_fires_what_is_created_meanwhile(dsn: str) -> None:
    """The timer is a minute away: only the hint of another process can set it in time."""
    runner, other = Engine(dsn), Engine(dsn)
    ran: list[int] = []

    @runner.handler("note")
    async def note(task: Task) -> None:
        ran.append(task.job_id)

    async with runner:
        await other.connect()
        await hourly(other, every_s=1.0)
        await until(lambda: {1, 2, 3} <= set(ran))
        assert await other.schedules.pause("hourly")
        await other.close()
    assert [1] * len(ran) == [ran.count(job_id) for job_id in ran]


async def test_a_service_that_finds_another_at_it_looks_again(engine: Engine, dsn: str) -> None:
    """While the row is locked nothing is fired and nothing waits; when it is free, at once."""
    await hourly(engine)
    await execute(dsn, OVERDUE)
    service = Scheduler(store=engine.store.schedules, metrics=Metrics())
    holds, done = asyncio.Event(), asyncio.Event()

    async def hold(connection: Any) -> None:
        async with connection.transaction():
            await connection.execute("SELECT FROM pacewheel.schedules FOR UPDATE")
            holds.set()
            await done.wait()

    holder = asyncio.create_task(engine.store._pool.run(hold))
    await holds.wait()
    assert 0 == await service.run_once()
    await service.start()
    assert 0 == await jobs(dsn)
    done.set()
    await holder

    async def is_fired() -> bool:
        return await jobs(dsn) == 1

    await until(is_fired)
    await service.stop()
