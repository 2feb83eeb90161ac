"""Sites that block or break: a domain slows down or pauses, is probed, and recovers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from pacewheel import Breaker, Config, Engine, NewTask, Outcome, Task
from pacewheel.store.tasks import PostgresTasks
from tests.conftest import FAST, fetch, until

if TYPE_CHECKING:
    import asyncpg
    import pytest

BREAKER = Breaker({"connect"}, failures=4, pause_s=0.4, pause_max_s=2.0)


class Site:
    """A site that is up or down, and an engine whose handler asks it; each request is noted."""

    def __init__(self, dsn: str, breaker: Breaker = BREAKER) -> None:
        self.dsn = dsn
        self.is_up = False
        self.requests: list[float] = []
        self.running = self.most_running = 0
        self.hold_s = 0.02
        self.breaker = breaker
        self.engine = self.new_engine()

    def new_engine(self) -> Engine:
        """One more process that asks this site."""
        engine = Engine(self.dsn, config=Config(**FAST))

        @engine.handler(
            "ask", attempts=50, backoff_s=0.01, backoff_max_s=0.05, breaker=self.breaker
        )
        async def ask(_task: Task) -> Outcome:
            self.requests.append(time.monotonic())
            is_up = self.is_up
            self.running += 1
            self.most_running = max(self.most_running, self.running)
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


async def test_a_circuit_opens_probes_one_at_a_time_and_closes(dsn: str) -> None:
    """Eight at once fail: the domain pauses and says why; one request a pause; then all is done."""
    site = Site(dsn)
    await site.create()
    async with site.engine:
        await until(site.circuit_is_open)
        job = (await site.engine.list_jobs())[0]
        assert "domain_blocked" == job.waiting_reason
        # What began before the circuit opened can't lengthen the pause.
        row = await site.row()
        assert 4 == row["failures"]
        before = len(site.requests)
        assert before <= 8 + 8
        await until(lambda: len(site.requests) == before + 2)
        probes = site.requests[before:]
        assert 0.4 <= probes[0] - site.requests[before - 1]
        assert 0.8 <= probes[1] - probes[0]
        site.most_running, site.is_up = 0, True
        await until(lambda: len(site.requests) == before + 3)
        assert 1 == site.most_running
        await until(site.is_done)
        assert 1 < site.most_running
    row = await site.row()
    assert (None, 0, 0) == (row["block_reason"], row["failures"], row["adaptive_delay_ms"])
    opened = site.engine.metrics.value("pacewheel_breaker_openings_total")
    assert 3 == opened


async def test_an_open_circuit_outlives_its_owner(dsn: str) -> None:
    """The next owner waits out the pause and probes with one request, though it saw no failure."""
    site = Site(dsn, Breaker({"connect"}, failures=4, pause_s=1.5, pause_max_s=1.5))
    await site.create()
    async with site.engine:
        await until(site.circuit_is_open)
    opened, before = time.monotonic(), len(site.requests)
    site.most_running = 0
    site.hold_s = 0.3
    async with site.new_engine():
        await until(lambda: len(site.requests) == before + 2, timeout_s=15)
        assert 1.0 <= site.requests[before] - opened
        assert 1.5 <= site.requests[before + 1] - site.requests[before]
        assert 1 == site.most_running
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
    await asyncio.wait_for(engine.run_until_idle(), 10)
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
    await asyncio.wait_for(site.engine.run_until_idle(), 20)
    assert (100, []) == (len(site.requests), written)
    site.is_up = False
    await site.create(1)
    async with site.engine:
        await until(lambda: len(written) >= 1)
        site.is_up = True
        await until(site.is_done)
    row = await site.row()
    assert (0, 0) == (row["failures"], row["successes"])


async def test_a_blocking_answer_widens_the_gap_at_once_and_answers_narrow_it(dsn: str) -> None:
    """Refused together counts once; the row follows; the next requests keep the new gap."""
    engine = Engine(dsn, config=Config(**FAST))
    departures: list[float] = []
    all_are_under_way = asyncio.Barrier(4)

    @engine.handler("ask", backoff_s=0.01)
    async def ask(_task: Task) -> Outcome:
        departures.append(time.monotonic())
        if len(departures) > 4:
            return Outcome.completed()
        await all_are_under_way.wait()
        return Outcome.retry("busy", http_status=429)

    await engine.connect()
    await engine.create_job(
        domain="a.example",
        handler="ask",
        concurrency=4,
        domain_delay_ms=20,
        tasks=[NewTask(f"t{n}") for n in range(27)],
        discovery_open=False,
    )

    async def gap_ms() -> int:
        return int((await fetch(dsn, "SELECT gap_ms FROM pacewheel.domains"))[0][0])

    async with engine:
        await until(lambda: len(departures) >= 6)
        assert 500 == await gap_ms()
        assert 0.499 <= departures[5] - departures[4]
        await until(lambda: len(departures) >= 27, timeout_s=20)
        info = await engine.store.overview.get_domain("a.example")
        assert (333, 333) == (info.adaptive_delay_ms, info.gap_ms)
        (refused,) = await fetch(
            dsn, "SELECT min(finished_at) FROM pacewheel.results WHERE http_status = 429"
        )
        assert refused[0] == info.refused_at
    assert 1 == engine.metrics.value("pacewheel_pace_changes_total", direction="slower")
