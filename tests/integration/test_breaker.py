"""Sites that block or break: a domain slows down or pauses, is probed, and recovers."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pacewheel import Breaker, Config, Engine, NewTask, Outcome, Task
from pacewheel.store.tasks import PostgresTasks
from tests.conftest import PROMPT, fetch, until
from tests.departures import departures

if TYPE_CHECKING:
    import asyncpg
    import pytest

BREAKER = Breaker({"connect"}, failures=4, pause_s=0.4, pause_max_s=2.0)


class Request(NamedTuple):
    """When a request came, how often the circuit had been opened, and how many were under way then."""

    at_s: float
    openings: int
    running: int


class Site:
    """A site that is up or down, and an engine whose handler asks it; each request is noted.

    It comes up by itself once the circuit has been opened `up_after_openings` times.
    """

    def __init__(self, dsn: str, breaker: Breaker = BREAKER) -> None:
        self.dsn = dsn
        self.is_up = False
        self.up_after_openings = math.inf
        self.requests: list[Request] = []
        self.running = 0
        self.hold_s = 0.02
        self.breaker = breaker
        self.engine = self.new_engine()

    def new_engine(self) -> Engine:
        """One more process that asks this site."""
        engine = Engine(self.dsn, config=Config(**PROMPT))

        @engine.handler(
            "ask", attempts=50, backoff_s=0.01, backoff_max_s=0.05, breaker=self.breaker
        )
        async def ask(_task: Task) -> Outcome:
            openings = engine.metrics.value("pacewheel_breaker_openings_total")
            is_up = self.is_up or openings >= self.up_after_openings
            self.running += 1
            self.requests.append(Request(time.monotonic(), int(openings), self.running))
            await asyncio.sleep(self.hold_s)
            self.running -= 1
            return Outcome.completed() if is_up else Outcome.retry("connect")

        return engine

    async def create(self, tasks: int = 30, *, gap_ms: int | None = None) -> None:
        """Create the job."""
        await self.engine.connect()
        await self.engine.create_job(
            domain="a.example",
            handler="ask",
            concurrency=8,
            domain_delay_ms=gap_ms,
            tasks=[NewTask(f"t{n}") for n in range(tasks)],
            discovery_open=False,
        )

    async def row(self) -> asyncpg.Record:
        """The domain's row."""
        query = "SELECT *, blocked_until > clock_timestamp() AS blocked FROM pacewheel.domains"
        return (await fetch(self.dsn, query))[0]

    async def circuit_is_open(self) -> bool:
        """Tell whether the row says so."""
        row = await self.row()
        return bool(row["block_reason"] == "circuit_open" and row["blocked"])

    async def is_done(self) -> bool:
        """Tell whether every task is completed."""
        rows = await fetch(self.dsn, "SELECT bool_and(total = completed) FROM pacewheel.jobs")
        return bool(rows[0][0])


async def test_a_circuit_opens_probes_one_at_a_time_and_closes(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Eight at once fail: the domain pauses and says why; one request a pause; then all is done."""
    caplog.set_level(logging.INFO, "pacewheel")
    site = Site(dsn)
    site.up_after_openings = 3
    await site.create()
    async with site.engine:

        async def says_why() -> bool:
            return "domain_blocked" == (await site.engine.list_jobs())[0].waiting_reason

        await until(says_why)
        await until(site.is_done)
    before = [request for request in site.requests if request.openings == 0]
    assert len(before) <= 8 + 8
    probes = site.requests[len(before) : len(before) + 3]
    # What began before the circuit opened can't lengthen the pause.
    assert [(1, 1), (2, 1), (3, 1)] == [(probe.openings, probe.running) for probe in probes]
    assert 0.4 <= probes[0].at_s - before[-1].at_s
    assert 0.8 <= probes[1].at_s - probes[0].at_s
    assert 1 < max(request.running for request in site.requests[len(before) + 3 :])
    row = await site.row()
    assert (None, 0, 0) == (row["block_reason"], row["failures"], row["adaptive_delay_ms"])
    opened = site.engine.metrics.value("pacewheel_breaker_openings_total")
    assert 3 == opened
    said = [vars(record) for record in caplog.records]
    assert 4 == next(line["failures"] for line in said if line.get("event") == "breaker_opened")


async def test_an_open_circuit_outlives_its_owner(dsn: str) -> None:
    """The next owner waits out the pause and probes with one request, though it saw no failure."""
    site = Site(dsn, Breaker({"connect"}, failures=4, pause_s=1.5, pause_max_s=1.5))
    await site.create()
    async with site.engine:
        await until(site.circuit_is_open)
    before, asked_s = len(site.requests), time.monotonic()
    (left,) = await fetch(
        dsn,
        "SELECT extract(epoch FROM blocked_until - clock_timestamp())::float8 FROM pacewheel.domains",
    )
    site.hold_s = 0.3
    async with site.new_engine():
        await until(lambda: len(site.requests) >= before + 2)
        first, second = site.requests[before : before + 2]
        assert asked_s + left[0] <= first.at_s
        assert 1.5 <= second.at_s - first.at_s
        assert (1, 1) == (first.running, second.running)
        site.is_up = True
        site.hold_s = 0.02
        await until(site.is_done)


async def test_missing_pages_and_defects_leave_the_circuit_closed(dsn: str) -> None:
    """Twenty 404s and as many exceptions in a row (lesson 28) pause nothing and fail only themselves."""
    engine = Engine(dsn)
    seen: list[str] = []

    @engine.handler("ask", attempts=1, breaker=BREAKER)
    async def ask(task: Task) -> Outcome:
        seen.append(task.target)
        if int(task.target) % 2:
            raise RuntimeError(task.target)
        return Outcome.failed("http_4xx", http_status=404)

    await engine.connect()
    await engine.create_job(
        domain="a.example",
        handler="ask",
        tasks=[NewTask(f"{n}") for n in range(40)],
        discovery_open=False,
    )
    await asyncio.wait_for(engine.run_until_idle(), 60)
    assert 40 == len(seen)
    rows = await fetch(
        dsn, "SELECT failures, block_reason, blocked_until::text FROM pacewheel.domains"
    )
    assert [(0, None, "-infinity")] == [tuple(row) for row in rows]


async def test_answers_of_a_calm_domain_cost_no_statement(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure and the answer after it are written; a hundred answers alone write nothing."""
    written: list[int] = []
    pace = PostgresTasks._pace

    async def note(tasks: PostgresTasks, *args: Any) -> None:
        written.append(len(args[-1]))
        await pace(tasks, *args)

    monkeypatch.setattr(PostgresTasks, "_pace", note)
    site = Site(dsn, Breaker({"connect"}, failures=100))
    site.is_up, site.hold_s = True, 0.0
    await site.create(100)
    await asyncio.wait_for(site.engine.run_until_idle(), 60)
    assert (100, []) == (len(site.requests), written)
    site.is_up = False
    await site.create(1)
    async with site.engine:
        await until(lambda: len(written) >= 1)
        site.is_up = True
        await until(site.is_done)
    row = await site.row()
    assert (0, 0) == (row["failures"], row["successes"])


async def test_a_blocking_answer_widens_the_gap_at_once_and_answers_narrow_it(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused together counts once; the row follows; the next requests keep the new gap.

    Eight answers narrow it here: that they are twenty is tested without a clock.
    """
    monkeypatch.setattr("pacewheel.pacing.STREAK", 8)
    engine = Engine(dsn, config=Config(**PROMPT))
    started = 0
    all_are_under_way = asyncio.Barrier(4)

    @engine.handler("ask", backoff_s=0.01)
    async def ask(_task: Task) -> Outcome:
        nonlocal started
        started += 1
        if started > 4:
            return Outcome.completed()
        await all_are_under_way.wait()
        return Outcome.retry("busy", http_status=429)

    await engine.connect()
    await engine.create_job(
        domain="a.example",
        handler="ask",
        concurrency=4,
        domain_delay_ms=20,
        tasks=[NewTask(f"t{n}") for n in range(12)],
        discovery_open=False,
    )

    async def is_narrower() -> bool:
        rows = await fetch(dsn, "SELECT adaptive_delay_ms, gap_ms FROM pacewheel.domains")
        return [(333, 333)] == [tuple(row) for row in rows]

    async with engine:
        await until(is_narrower)
        info = await engine.store.overview.get_domain("a.example")
        refusals = "SELECT finished_at FROM pacewheel.results WHERE http_status = 429"
        assert info.refused_at in {row[0] for row in await fetch(dsn, refusals)}
    kept = [(gap_ms, (apart_ms or 0) >= gap_ms) for apart_ms, gap_ms in await departures(dsn)]
    assert [(20, True)] * 3 + [(500, True)] * 8 == kept[1:12]
    assert {(333, True)} >= set(kept[12:])
    assert 1 == engine.metrics.value("pacewheel_pace_changes_total", direction="slower")
