"""The politeness record and the flow of a job whose attempts are written by hand: each figure by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import pytest

from pacewheel import Engine
from pacewheel.report import build
from pacewheel.store.queries import load_queries
from tests.conftest import execute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pacewheel.engine import Job
    from pacewheel.report import Report

GAP_MS = 1_000


class Attempt(NamedTuple):
    """One attempt: when it left (ms from the start), since the one before, and what it asked for."""

    left_ms: float | None
    apart_ms: float | None
    pause_ms: int | None = None
    gap_ms: int = GAP_MS
    took_ms: int = 100
    settled_after_ms: int = 120
    attempt: int = 1


@pytest.fixture
async def job(dsn: str) -> AsyncIterator[Job]:
    """A job that has started, without results."""
    engine = Engine(dsn)
    await engine.connect()
    created = await engine.create_job(
        domain="a.example", handler="warm", concurrency=2, discovery_open=False
    )
    yield created
    await engine.close()


async def reported(dsn: str, job: Job, *attempts: Attempt) -> Report:
    """Write the attempts, each of a task of its own that was enqueued at the start, and report."""
    await execute(
        dsn,
        "UPDATE pacewheel.jobs SET status = 3, started_at = '2026-01-01Z',"
        f" finished_at = '2026-01-01 00:01Z', completed = {len(attempts)}, total = {len(attempts)}",
        *(statement for number, each in enumerate(attempts) for statement in rows(number, each)),
    )
    return await job.report()


def rows(number: int, each: Attempt) -> tuple[str, str]:
    """The statements that make one task and its result."""
    started = f"'2026-01-01Z'::timestamptz + interval '1 ms' * {each.left_ms or 0}"
    departed = "NULL" if each.left_ms is None else started
    values: list[Any] = [each.apart_ms, each.gap_ms, each.pause_ms]
    written = ", ".join("NULL" if value is None else str(value) for value in values)
    return (
        (
            "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, finished_at,"
            f" attempt, status, target) VALUES (1, pacewheel.first_task_id(1) + {number}, 1, 0,"
            f" '2026-01-01Z', now(), {each.attempt}, 3, 't{number}')"
        ),
        (
            "INSERT INTO pacewheel.results (finished_at, domain_id, job_id, task_id, worker_id, duration_ms,"
            " http_status, attempt, outcome, detail, departed_at, apart_ms, gap_ms, pause_ms) VALUES ("
            f"{started} + interval '1 ms' * {each.settled_after_ms}, 1, 1,"
            f" pacewheel.first_task_id(1) + {number}, 1, {each.took_ms}, 200,"
            f' {each.attempt}, 3, \'{{"timings": {{"total": {each.took_ms}}}}}\', {departed}, {written})'
        ),
    )


async def test_a_pace_that_was_kept(dsn: str, job: Job) -> None:
    """The tightest of the gaps, and all of the budget."""
    attempts = [Attempt(0, None), Attempt(1_000, 1_000.5), Attempt(2_010, 1_010.0)]
    record = (await reported(dsn, job, *attempts)).politeness
    assert record.is_kept
    assert (3, 1_000.5, GAP_MS) == (record.departures, record.seen_ms, record.permitted_ms)
    assert (0, 0) == (record.handovers, record.pauses)
    assert 2_000 / 2_010.5 == record.budget_used


async def test_what_lies_before_a_job_is_no_lost_budget(dsn: str, job: Job) -> None:
    """The domain's last request was another job's, or of long ago: that gap was kept, and not used."""
    attempts = [Attempt(0, 30_000.0), Attempt(1_000, 1_000.0), Attempt(2_000, 1_000.0)]
    report = await reported(dsn, job, *attempts)
    assert 1.0 == report.politeness.budget_used
    assert (3, 1_000.0) == (report.politeness.departures, report.politeness.seen_ms)
    close = [Attempt(0, 400.0), Attempt(1_000, 1_000.0)]
    await execute(dsn, "DELETE FROM pacewheel.results", "DELETE FROM pacewheel.tasks")
    assert (1, 400.0) == (
        (record := (await reported(dsn, job, *close)).politeness).too_close,
        record.seen_ms,
    )


async def test_a_gap_that_was_too_short(dsn: str, job: Job) -> None:
    """Against the gap in force at that moment, which may have been shorter before."""
    attempts = [Attempt(0, None), Attempt(200, 200.0, gap_ms=200), Attempt(1_199, 999.0)]
    record = (await reported(dsn, job, *attempts)).politeness
    assert not record.is_kept
    assert (1, 999.0, GAP_MS) == (record.too_close, record.seen_ms, record.permitted_ms)
    assert (200, GAP_MS) == (record.least_gap_ms, record.most_gap_ms)


async def test_between_two_owners_the_databases_clock_tells(dsn: str, job: Job) -> None:
    """The first departure under a lease is compared with the last one of the job before it."""
    attempts = [
        Attempt(0, None),
        Attempt(1_003, 1_000.0),
        Attempt(2_100, None),
        Attempt(2_900, None),
    ]
    report = await reported(dsn, job, *attempts)
    record = report.politeness
    assert (2, 1) == (record.handovers, record.too_close)
    assert record.handover_ms == record.seen_ms == pytest.approx(800)
    assert GAP_MS == record.permitted_ms
    assert report.facts.pace.precision_ms == pytest.approx(3)
    assert "2 between two owners by the database's clock (within 3.0 ms" in record.basis


async def test_between_two_owners_the_clocks_decide_no_closer_than_they_agree(
    dsn: str, job: Job
) -> None:
    """Both differ by 3 ms where both are known, so 2 ms less than the gap prove nothing."""
    attempts = [Attempt(0, None), Attempt(1_003, 1_000.0), Attempt(2_001, None)]
    record = (await reported(dsn, job, *attempts)).politeness
    assert (1, 0, 1_000.0) == (record.handovers, record.too_close, record.seen_ms)
    assert record.handover_ms == pytest.approx(998)


async def test_a_pause_that_was_kept_and_one_that_was_not(dsn: str, job: Job) -> None:
    """From the moment its answer was read, 50 ms of grace for what was on its way; it is no lost budget."""
    attempts = [
        Attempt(0, None),
        Attempt(1_000, 1_000.0, pause_ms=5_000),
        Attempt(1_120, 120.0, gap_ms=100),
        Attempt(6_200, 5_080.0),
        Attempt(7_200, 1_000.0, pause_ms=3_000),
        Attempt(9_000, 1_800.0),
    ]
    report = await reported(dsn, job, *attempts)
    record = report.politeness
    assert not record.is_kept
    assert (2, 8.0, 1) == (record.pauses, record.asked_s, record.departed_within)
    # 1,120 to 6,100 and 7,200 to 9,000 were pauses.
    assert report.facts.pace.paused_ms == pytest.approx(4_980 + 1_800)
    assert record.budget_used == 1.0


async def test_a_pause_asked_for_without_a_gap_counts_from_its_settle(dsn: str, job: Job) -> None:
    """There is no departure to count from."""
    attempts = [Attempt(None, None, pause_ms=1_000), Attempt(1_200, None)]
    record = (await reported(dsn, job, *attempts)).politeness
    assert (1, 0) == (record.pauses, record.departed_within)
    attempts = [Attempt(None, None, pause_ms=2_000), Attempt(1_200, None)]
    await execute(dsn, "DELETE FROM pacewheel.results", "DELETE FROM pacewheel.tasks")
    assert 1 == (await reported(dsn, job, *attempts)).politeness.departed_within


async def test_the_flow_of_a_job(dsn: str, job: Job) -> None:
    """Window, time in handlers, waits since the enqueueing, and what was needed beside the answers."""
    attempts = [
        Attempt(1_000.0 * n, 1_000.0 if n else None, settled_after_ms=150) for n in range(10)
    ]
    report = await reported(dsn, job, *attempts)
    flow = report.facts.flow
    assert (10, 10) == (flow.attempts, flow.waits)
    assert flow.window_ms == pytest.approx(9_150)
    assert 0 == flow.retrying_ms
    assert (1_000.0, 1_000.0) == (flow.busy_ms, flow.answer_ms)
    assert flow.own_ms == pytest.approx(50)
    assert flow.waited_ms == pytest.approx(45_000)
    assert (10, 9_150) == (flow.recent, pytest.approx(flow.recent_ms))
    assert "domain_delay" == report.bottleneck.verdict
    assert report == build(report.facts)


async def test_the_last_minute_is_that_before_the_snapshot(dsn: str, job: Job) -> None:
    """Statements before it may take minutes, in which nothing new is seen."""
    connection = await asyncpg.connect(dsn)
    async with connection.transaction(isolation="repeatable_read"):
        began = await connection.fetchval("SELECT now()")
        row = await connection.fetchrow(load_queries()["report_flow"], job.id)
    await connection.close()
    assert began == row["read_at"]


async def test_time_in_which_only_retries_were_left_is_not_held_against_the_pace(
    dsn: str, job: Job
) -> None:
    """Nine requests a second apart, and a retry half a minute later: the retry bound the job."""
    attempts = [Attempt(1_000.0 * n, 1_000.0 if n else None) for n in range(9)]
    late = Attempt(40_000.0, 32_000.0, attempt=2)
    report = await reported(dsn, job, *attempts, late)
    assert report.facts.flow.retrying_ms == pytest.approx(32_000)
    assert "retry_backoff" == report.bottleneck.verdict
    await execute(dsn, "DELETE FROM pacewheel.results", "DELETE FROM pacewheel.tasks")
    soon = Attempt(14_000.0, 6_000.0, attempt=2)
    report = await reported(dsn, job, *attempts, soon)
    assert report.facts.flow.retrying_ms == pytest.approx(6_000)
    assert "domain_delay" == report.bottleneck.verdict
