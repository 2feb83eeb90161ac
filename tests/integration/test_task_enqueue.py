"""`Task.enqueue`: tasks that a handler adds while it runs."""

from __future__ import annotations

import asyncio

from pacewheel import Engine, NewTask, Outcome, Task
from pacewheel.model import Enqueued
from tests.conftest import fetch


async def test_what_a_running_task_adds_is_run_before_it_ends(dsn: str) -> None:
    """Also if its attempt fails afterwards; the next attempt's offers are known."""
    engine = Engine(dsn)
    child_ran = asyncio.Event()
    added: list[Enqueued] = []
    ran: list[str] = []

    @engine.handler("add")
    async def add(task: Task) -> Outcome:
        ran.append(task.target)
        if task.target != "parent":
            child_ran.set()
            return Outcome.completed()
        added.append(await task.enqueue([NewTask("a"), NewTask("b")]))
        await child_ran.wait()
        return Outcome.retry("again", 0.0) if task.attempt == 1 else Outcome.completed()

    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="add", concurrency=2)
    await job.enqueue([NewTask("parent")])
    await job.finish_discovery()
    await engine.run_until_idle()
    assert [Enqueued(inserted=2), Enqueued(known=2)] == added
    assert ["a", "b", "parent", "parent"] == sorted(ran)


async def test_a_full_job_takes_no_more_and_says_so(dsn: str) -> None:
    """The handler is told, so that it can stop looking for more."""
    engine = Engine(dsn)
    told: list[Enqueued] = []

    @engine.handler("add")
    async def add(task: Task) -> None:
        if task.target == "parent":
            told.append(await task.enqueue([NewTask("a"), NewTask("b")]))

    await engine.connect()
    await engine.create_job(
        domain="a.example",
        handler="add",
        max_tasks=2,
        tasks=[NewTask("parent")],
        discovery_open=False,
    )
    await engine.run_until_idle()
    assert [Enqueued(inserted=1, over_limit=1)] == told
    (total,) = await fetch(dsn, "SELECT total FROM pacewheel.jobs")
    assert 2 == total[0]


async def test_without_an_engine_nothing_is_taken() -> None:
    """A handler can be tested by itself."""
    task = Task(1, 1, 1, "a.example", "add", "parent", 0.0, 1, None, {})
    assert Enqueued() == await task.enqueue([NewTask("a")])
