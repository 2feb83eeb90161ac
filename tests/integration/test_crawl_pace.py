"""The pace of requests: every one counts, and slow answers ask for longer gaps."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pacewheel import Engine, NewTask, Outcome, Task
from pacewheel.config import Config
from pacewheel.crawl.warm import WarmHandler, initial_tasks, validate_options
from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_sites import Redirect, SiteSpec
from pacewheel.registry import Handler
from tests.conftest import fetch, until
from tests.departures import assert_kept, departures
from tests.loopback_server import client_of

if TYPE_CHECKING:
    from pathlib import Path

GAP_MS = 100

SITE = SiteSpec(
    name="every",
    pages=12,
    seed=9,
    sitemap="index",
    sitemap_child_pages=5,
    unavailable=((3, 404), (5, 500)),
    hostile=("close",),
    redirects=(
        Redirect(source="/robots.txt", target="/robots-2.txt"),
        Redirect(source="/hop/1", target="/hop/2"),
        Redirect(source="/hop/2", target="/hop/3"),
        Redirect(source="/hop/3", target="/"),
    ),
)


async def test_every_request_takes_a_slot_of_its_own(dsn: str, tmp_path: Path) -> None:
    """Robots, its redirect, sitemaps, redirect hops, missing pages, errors, resets and retries.

    The farm counts: as many arrivals as attempts. No two departures are closer than the gap.
    """
    with FarmProcess((SITE,), tmp_path / "arrivals.jsonl") as farm:
        async with client_of() as client:
            engine = Engine(dsn)
            engine.add_handler(
                Handler("warm", WarmHandler(client), attempts=3, backoff_s=0.1, own_departure=True)
            )
            await engine.connect()
            url = farm.urls[0]
            options = validate_options({"start": [url]})
            await engine.create_job(
                domain=url.removeprefix("http://").strip("/"),
                handler="warm",
                concurrency=8,
                domain_delay_ms=GAP_MS,
                options=options,
                tasks=initial_tasks([url], options),
                discovery_open=False,
            )
            await engine.run_until_idle()
        log = farm.log()
    paths = [arrival.path for arrival in log.arrivals(SITE.name)]
    assert {"/robots.txt", "/robots-2.txt", "/hop/1", "/hop/2", "/hop/3", "/"} <= set(paths)
    assert 3 == paths.count("/hostile/close")
    attempts = await fetch(dsn, "SELECT count(*) AS number FROM pacewheel.results")
    assert attempts[0]["number"] == len(paths)
    await assert_kept(dsn, len(paths), GAP_MS)


class Slow:
    """A handler whose outcomes ask for these gaps, one after another, and when it was called."""

    def __init__(self, *delays_ms: float) -> None:
        self._delays_ms = iter(delays_ms)
        self.departures_s: list[float] = []

    async def __call__(self, _task: Task) -> Outcome:
        """Note the departure, and what the answer took."""
        self.departures_s.append(time.monotonic())
        return Outcome.completed(latency_delay_ms=next(self._delays_ms))

    async def enqueue(self, engine: Engine, tasks: int, **more: int) -> None:
        """Create the job that it runs."""
        engine.add_handler(Handler("slow", self))
        await engine.connect()
        await engine.create_job(
            domain="a.example",
            handler="slow",
            concurrency=5,
            tasks=[NewTask(str(number)) for number in range(tasks)],
            discovery_open=False,
            **more,
        )


async def test_a_slow_answer_asks_for_a_longer_gap_and_a_quick_one_ends_it(dsn: str) -> None:
    """At once when it grows, from the claim after when it shrinks; nothing is left of it."""
    slow = Slow(200, 200, 200, 0, 0, 0, 0)
    engine = Engine(dsn)
    await slow.enqueue(engine, 7, domain_delay_ms=20)
    await engine.run_until_idle()
    found = await departures(dsn)
    assert 7 == len(slow.departures_s)
    assert [20, 200, 200, 200, 20, 20, 20] == [gap_ms for _, gap_ms in found]
    # The slot that the last slow answer had moved on counts once more.
    assert all(200 <= (apart_ms or 0) for apart_ms, _ in found[1:4])
    assert all(20 <= (apart_ms or 0) for apart_ms, _ in found[4:])
    (row,) = await fetch(dsn, "SELECT gap_ms FROM pacewheel.domains")
    assert 20 == row["gap_ms"]


async def test_tasks_of_a_domain_without_delay_wait_for_slow_answers_too(dsn: str) -> None:
    """What was claimed at once, before anything was known, leaves one by one."""
    slow = Slow(*[100] * 8)
    engine = Engine(dsn)
    await slow.enqueue(engine, 8)
    await engine.run_until_idle()
    assert 8 == len(slow.departures_s)
    kept = [(apart_ms or 0) >= gap_ms == 100 for apart_ms, gap_ms in await departures(dsn)]
    assert len(kept) >= 3
    assert all(kept)


async def test_the_next_owner_keeps_the_gap_that_a_slow_answer_asked_for(dsn: str) -> None:
    """A process that stops hands over when the next request may leave."""
    config = Config(dsn=dsn, idle_release_s=0)
    slow = Slow(*[900] * 4)
    first = Engine(config=config)
    await slow.enqueue(first, 2, domain_delay_ms=20)
    await first.start()
    await until(lambda: len(slow.departures_s) == 1)
    await first.stop()
    second = Engine(config=config)
    second.add_handler(Handler("slow", slow))
    await second.connect()
    await second.run_until_idle()
    first_s, second_s = slow.departures_s
    # Not to the millisecond: each is noted somewhat after it was.
    assert second_s - first_s >= 0.6


async def test_what_was_claimed_before_a_gap_became_long_waits_without_a_slot(dsn: str) -> None:
    """Three tasks run when the first answer asks for a minute: the others go back, no attempt used."""
    engine = Engine(dsn)
    first_answered = asyncio.Event()

    @engine.handler("slow", own_departure=True)
    async def slow(task: Task) -> Outcome:
        if task.target == "first":
            await task.depart()
            asyncio.get_running_loop().call_later(0.05, first_answered.set)
            return Outcome.completed(latency_delay_ms=60_000)
        await first_answered.wait()
        await task.depart()
        return Outcome.completed()

    await engine.connect()
    tasks = [NewTask("first", priority=1.0), NewTask("second"), NewTask("third")]
    await engine.create_job(
        domain="a.example", handler="slow", concurrency=5, tasks=tasks, discovery_open=False
    )
    async with engine:
        await asyncio.wait_for(first_answered.wait(), 60)

        def nothing_is_held() -> bool:
            return engine._runtime is not None and engine._runtime.unsettled() == 0

        await until(nothing_is_held)
    rows = await fetch(dsn, "SELECT attempt, status FROM pacewheel.tasks ORDER BY status")
    assert [(0, 0), (0, 0), (1, 3)] == [(row["attempt"], row["status"]) for row in rows]
