"""Hints: few, however much happens; lost ones harm nobody; what concerns oneself needs none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from pacewheel import Config, Engine, NewTask, Outcome, Task
from pacewheel.errors import StoreUnavailable
from pacewheel.store.hinter import IDS_A_HINT_MAX, IDS_A_VERB_MAX, WINDOW_S
from tests.conftest import fetch, until


@asynccontextmanager
async def heard_in(dsn: str) -> AsyncIterator[list[str]]:
    """Listen beside the engines; yield what is heard, probes left out."""
    heard: list[str] = []

    def receive(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if payload != "probe":
            heard.append(str(payload))

    connection = await asyncpg.connect(dsn)
    await connection.add_listener("pacewheel", receive)
    try:
        yield heard
        # What was sent before is heard before this is answered.
        await connection.fetch("SELECT 1")
    finally:
        await connection.close()


def noting(dsn: str, **settings: Any) -> tuple[Engine, list[str]]:
    """Return an engine, and the targets of the tasks that its handler has started."""
    engine = Engine(dsn, config=Config(**settings))
    seen: list[str] = []

    @engine.handler("note")
    async def note(task: Task) -> Outcome | None:
        seen.append(task.target)
        if task.target == "parent":
            return Outcome.completed(discovered=[NewTask("child")])
        return None

    return engine, seen


async def test_a_thousand_enqueues_are_one_hint_a_window(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one at full speed, into a domain that another process runs: all start, few hints are sent.

    The window is ten times as long, so that a slow machine tells one hint a window from one a task.
    """
    window_s = 10 * WINDOW_S
    monkeypatch.setattr("pacewheel.store.hinter.WINDOW_S", window_s)
    worker, seen = noting(dsn)
    client = Engine(dsn)
    await client.connect()
    async with worker, heard_in(dsn) as heard:
        job = await client.create_job(domain="a.example", handler="note", concurrency=64)
        began = time.monotonic()
        for n in range(1000):
            await job.enqueue([NewTask(f"t{n}")])
        took_s = time.monotonic() - began
        await until(lambda: len(seen) == 1000)
        await client.close()
    assert 1 <= len(heard) <= took_s / window_s + 2
    assert len(heard) == client.metrics.value("pacewheel_hints_sent_total", verb="enqueued")


async def test_what_follows_within_the_window_comes_with_its_end(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three domains at once: the first hint names one, the second the others, and all start."""
    monkeypatch.setattr("pacewheel.store.hinter.WINDOW_S", 2.0)
    worker, seen = noting(dsn)
    client = Engine(dsn)
    await client.connect()
    jobs = [await client.create_job(domain=f"d{n}.example", handler="note") for n in range(3)]
    async with worker, heard_in(dsn) as heard:
        await until(lambda: worker.metrics.value("pacewheel_listener_up") == 1)
        for job in jobs:
            await job.enqueue([NewTask(f"t{job.id}")])
        await until(lambda: len(seen) == 3)
        await until(lambda: len(heard) == 2)
        assert ["enqueued 1", "enqueued 2 3"] == heard
        await client.close()


async def test_a_first_hint_costs_no_statement_of_its_own(dsn: str) -> None:
    """After a quiet window the enqueue notifies by itself; nothing else is sent."""
    client = Engine(dsn)
    await client.connect()
    job = await client.create_job(domain="a.example", handler="note")
    await asyncio.sleep(2 * WINDOW_S)
    sent: list[str] = []
    fetch_statement = client.store.hinter._pool.fetch

    async def note_and_fetch(query: str, *args: object) -> Any:
        sent.append(query)
        return await fetch_statement(query, *args)

    client.store.hinter._pool.fetch = note_and_fetch  # type: ignore[method-assign]  # to watch it
    async with heard_in(dsn) as heard:
        await job.enqueue([NewTask("t")])
        await until(lambda: len(heard) == 1)
        await asyncio.sleep(2 * WINDOW_S)
    await client.close()
    assert [] == sent
    assert ["enqueued 1"] == heard


async def test_many_ids_go_in_payloads_that_fit_and_too_many_in_one_word(dsn: str) -> None:
    """Ids of the greatest length, up to 3,000 of a verb; beyond that everybody looks at everything."""
    client = Engine(dsn)
    await client.connect()
    hinter = client.store.hinter
    first = 2**63 - 1 - IDS_A_VERB_MAX
    async with heard_in(dsn) as heard:
        hinter.committed("stopped", range(first, first + IDS_A_VERB_MAX), notified=False)
        await until(lambda: len(heard) == IDS_A_VERB_MAX // IDS_A_HINT_MAX)
        ids = [int(word) for payload in heard for word in payload.split()[1:]]
        assert list(range(first, first + IDS_A_VERB_MAX)) == sorted(ids)
        heard.clear()
        hinter.committed("enqueued", range(IDS_A_VERB_MAX + 1), notified=False)
        await until(lambda: heard == ["all"])
    await client.close()


async def test_all_makes_every_process_look_at_everything(dsn: str) -> None:
    """A task that no hint has told of starts."""
    worker, seen = noting(dsn, idle_release_s=3600)
    async with worker:
        job = await worker.create_job(
            domain="a.example", handler="note", tasks=[NewTask("told")], max_tasks=10
        )
        await until(lambda: seen == ["told"])
        await fetch(
            dsn,
            "WITH j AS (UPDATE pacewheel.jobs SET pending = pending + 1, total = total + 1,"
            " poke = poke + 1 WHERE id = $1 RETURNING *)"
            " INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target)"
            " SELECT domain_id, pacewheel.task_id(id, 'untold'), id, 0, now(), 0, 'untold' FROM j",
            job.id,
        )
        await fetch(dsn, "SELECT pg_notify('pacewheel', 'all')")
        await until(lambda: seen == ["told", "untold"])


async def test_a_hint_that_cannot_be_sent_is_counted_and_forgotten(dsn: str) -> None:
    """The enqueue has succeeded all the same, and the sweep finds its task."""
    worker, seen = noting(dsn, sweep_s=0.5)
    client = Engine(dsn)
    await client.connect()
    async with worker:
        job = await client.create_job(
            domain="a.example", handler="note", tasks=[NewTask("told")], discovery_open=True
        )
        await until(lambda: seen == ["told"])
        assert client.store.hinter.leads()

        async def fail(_query: str, *_args: object) -> Any:
            raise StoreUnavailable("refused by the test")

        client.store.hinter._pool.fetch = fail  # type: ignore[method-assign]  # to break it
        counts = await job.enqueue([NewTask("untold")])
        assert 1 == counts.inserted
        await until(
            lambda: client.metrics.value("pacewheel_hints_lost_total", verb="enqueued") == 1
        )
        await until(lambda: seen == ["told", "untold"])
    await client.close()


async def test_what_a_task_discovers_is_run_without_a_hint(dsn: str) -> None:
    """The owner knows of it by the settle."""
    worker, seen = noting(dsn)
    async with worker, heard_in(dsn) as heard:
        await worker.create_job(domain="a.example", handler="note", tasks=[NewTask("parent")])
        await until(lambda: seen == ["parent", "child"])
        assert ["enqueued 1"] == heard


async def test_domains_given_back_together_are_one_hint(dsn: str) -> None:
    """Never one a row."""
    worker, seen = noting(dsn)
    async with heard_in(dsn) as heard:
        async with worker:
            for n in range(20):
                await worker.create_job(
                    domain=f"d{n}.example",
                    handler="note",
                    tasks=[NewTask("now"), NewTask("later", ready_in_s=250)],
                )
            await until(lambda: len(seen) == 20)

        def released() -> list[str]:
            return [payload for payload in heard if payload.startswith("released")]

        # A release that the stop cuts short is given back again without a hint.
        await until(lambda: bool(released()))
        assert [(20,)] == await fetch(
            dsn, "SELECT count(*) FROM pacewheel.domains WHERE owner IS NULL"
        )
    assert 1 <= len(released()) <= 3
    assert max(len(one.split()[1:]) for one in released()) > 20 / 4


@pytest.mark.parametrize("window", ["open", "closed"])
async def test_one_s_own_enqueue_needs_no_hint(
    dsn: str, monkeypatch: pytest.MonkeyPatch, window: str
) -> None:
    """Nothing can be listened to and the sweep is far away: the task starts within milliseconds."""

    async def refuse(_dsn: str, **_options: object) -> None:
        raise StoreUnavailable("refused by the test")

    monkeypatch.setattr("pacewheel.store.listener.connect", refuse)
    monkeypatch.setattr("pacewheel.services.sweeper.DEAF_SWEEP_S", 60.0)
    worker, seen = noting(dsn, idle_release_s=3600)
    async with worker, heard_in(dsn) as heard:
        job = await worker.create_job(domain="a.example", handler="note", tasks=[NewTask("a")])
        await until(lambda: seen == ["a"])
        if window == "open":
            assert worker.store.hinter.leads()
        heard.clear()
        await job.enqueue([NewTask("b")])
        await until(lambda: seen == ["a", "b"])
        await asyncio.sleep(2 * WINDOW_S)
    # A domain that is held is nobody else's business.
    assert ([] if window == "open" else ["enqueued 1"]) == heard[:1]
