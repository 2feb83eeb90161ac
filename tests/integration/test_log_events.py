"""What an engine logs: decisions and changes of state, never one line a task; a handler's lines say whose they are."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from pacewheel import Breaker, Config, Engine, NewTask, Outcome, Task, logs, outage
from tests.conftest import FAST, until
from tests.postgres_proxy import proxy_to

TASKS = 2_000


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What the daemon's handler has written in JSON, at info."""
    logs.configure("info", "json")
    return Lines(capsys)


class Lines:
    """The lines so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._lines: list[dict[str, Any]] = []

    def __call__(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return those of an event, or all."""
        self._lines += [json.loads(line) for line in self._capsys.readouterr().err.splitlines()]
        return [line for line in self._lines if event in {None, line.get("event")}]


async def test_two_thousand_tasks_are_a_dozen_lines(dsn: str, said: Lines) -> None:
    """The job is created, started and ended with its sums; no line speaks of one task."""
    engine = Engine(dsn)

    @engine.handler("work", attempts=1)
    async def work(task: Task) -> Outcome:
        match int(task.target) % 10:
            case 0:
                return Outcome.failed("broken")
            case 1:
                raise ValueError(task.target)
        return Outcome.completed()

    await engine.connect()
    job = await engine.create_job(
        domain="a.example",
        handler="work",
        tasks=[NewTask(str(number)) for number in range(TASKS)],
        discovery_open=False,
    )
    await engine.run_until_idle()
    ended = said("job_ended")
    assert [
        (job.id, "a.example", "work", "completed", TASKS, TASKS * 8 // 10, TASKS * 2 // 10, 0, 0)
    ] == [
        (
            *(line["job_id"], line["domain"], line["handler"], line["status"], line["total"]),
            *(line["completed"], line["failed"], line["skipped"], line["cancelled"]),
        )
        for line in ended
    ]
    assert [job.id] == [line["job_id"] for line in said("job_started")]
    assert [TASKS] == [line["tasks"] for line in said("job_created")]
    assert len(said()) < 15
    assert all("event" in line and "task_id" not in line for line in said())
    workers = {line["worker_id"] for line in said() if "worker_id" in line}
    assert 1 == len(workers)
    assert ended[0]["worker_id"] in workers


async def test_a_handlers_own_lines_say_whose_they_are(dsn: str, said: Lines) -> None:
    """In the handler, in a coroutine that it starts, and no more after it."""
    engine = Engine(dsn)
    log = logging.getLogger("pacewheel.mine")

    @engine.handler("work")
    async def work(task: Task) -> None:
        log.info("in %s", task.target)
        await asyncio.create_task(deeper(task.target))

    async def deeper(target: str) -> None:
        await asyncio.sleep(0)
        log.info("below %s", target)

    await engine.connect()
    job = await engine.create_job(
        domain="a.example",
        handler="work",
        tasks=[NewTask("one"), NewTask("two")],
        discovery_open=False,
    )
    await engine.run_until_idle()
    mine = [line for line in said() if line["logger"] == "pacewheel.mine"]
    ids = {line["message"].split()[1]: line["task_id"] for line in mine}
    assert 2 == len(set(ids.values()))
    for line in mine:
        assert (job.id, ids[line["message"].split()[1]], "a.example", "work", 1) == (
            *(line["job_id"], line["task_id"], line["domain"], line["handler"], line["attempt"]),
        )
        assert isinstance(line["worker_id"], int)
    assert {"in one", "below one", "in two", "below two"} == {line["message"] for line in mine}
    assert "task_id" not in said("job_ended")[0]


async def test_an_outage_is_two_lines_with_its_duration(
    dsn: str, said: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part of the engine waits by itself, and none says so at info."""
    monkeypatch.setattr(outage, "STEADY_MS", 500.0)
    async with proxy_to(dsn) as proxy:
        engine = Engine(proxy.dsn, config=Config(**FAST))
        async with engine:
            await until(lambda: bool(said("worker_registered")))
            proxy.go_away()
            await until(lambda: bool(said("database_lost")))
            await asyncio.sleep(1.5)
            proxy.come_back()
            await until(lambda: bool(said("database_returned")))
    lost, returned = said("database_lost"), said("database_returned")
    assert (1, 1) == (len(lost), len(returned))
    assert 1.0 < returned[0]["duration_s"]
    assert "waits for the database" not in "".join(line["message"] for line in said())


async def test_a_domain_that_fails_and_recovers_is_said_once_each(dsn: str, said: Lines) -> None:
    """Slowed by a 429, opened by its failures, closed by the probe; not a line a request."""
    engine = Engine(dsn)
    failures = iter([True, True])

    @engine.handler(
        "work", backoff_s=0.01, breaker=Breaker(frozenset({"down"}), failures=2, pause_s=0.1)
    )
    async def work(task: Task) -> Outcome:
        if next(failures, False):
            return Outcome.retry("down", retry_in_s=0.01)
        return Outcome.completed()

    await engine.connect()
    await engine.create_job(
        domain="a.example",
        handler="work",
        concurrency=1,
        tasks=[NewTask(str(number)) for number in range(20)],
        discovery_open=False,
    )
    await engine.run_until_idle()
    assert ["a.example"] == [line["domain"] for line in said("breaker_opened")]
    assert ["a.example"] == [line["domain"] for line in said("breaker_closed")]
    assert 2 == said("breaker_opened")[0]["failures"]
