"""The live progress: rates, times still needed, words, and what fits on a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from pacewheel.cli import live, progress
from pacewheel.cli.progress import History, Row, duration, eta_s, rows_of, waiting_words
from pacewheel.model import JobInfo, JobState, WaitingReason


def job(job_id: int = 1, **values: Any) -> JobInfo:
    """A running job of a hundred tasks, twenty of them completed, every field optional."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    base: dict[str, Any] = {
        "id": job_id, "domain": f"site-{job_id}.example", "handler": "warm",
        "status": JobState.RUNNING, "priority": 0.0, "concurrency": 8, "max_tasks": None,
        "options": {}, "discovery_open": False, "error": None, "retries_job_id": None,
        "total": 100, "pending": 80, "waiting": 0,
        "running": 0, "completed": 20, "failed": 0, "skipped": 0, "cancelled": 0,
        "created_at": start, "started_at": start, "finished_at": None, "waiting_reason": None,
        "next_start_in_ms": None, "owner": 1, "gap_ms": 0, "workers_alive": 1,
    }  # fmt: skip
    return JobInfo(**{**base, **values})


def row(job_id: int = 1, **values: Any) -> Row:
    """One row, every field optional."""
    base: dict[str, Any] = {
        "job_id": job_id, "label": f"site-{job_id}.example", "state": JobState.RUNNING,
        "settled": 20, "total": 100, "grows": False, "rate_per_s": 2.0,
        "waiting": "domain delay 0.3 s", "eta_s": 40.0,
    }  # fmt: skip
    return Row(**{**base, **values})


def drawn(rows: list[Row], columns: int, lines: int) -> list[str]:
    """What a terminal of this size shows."""
    out = io.StringIO()
    console = Console(file=out, width=columns, height=lines, color_system=None, highlight=False)
    console.print(progress.table(rows, columns=columns, lines=lines))
    return out.getvalue().splitlines()


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """Unknown before a second has passed; afterwards the window forgets what is older."""
    history = History()
    history.note(0.0, [job(completed=0)])
    history.note(0.5, [job(completed=10)])
    assert history.rate_per_s(1) is None
    for second in range(1, 31):
        history.note(float(second), [job(completed=50 + second)])
    assert pytest.approx(1.0) == history.rate_per_s(1)
    assert history.rate_per_s(2) is None


@pytest.mark.parametrize(
    ("values", "rate", "expected"),
    [
        ({}, None, None),
        ({}, 0.0, None),
        ({}, 4.0, 20.0),
        ({"gap_ms": 500}, None, 40.0),
        ({"gap_ms": 500}, 100.0, 40.0),
        ({"gap_ms": 500}, 1.0, 80.0),
        ({"gap_ms": 500, "waiting_reason": WaitingReason.DOMAIN_BLOCKED,
          "next_start_in_ms": 12_000.0}, 0.1, 52.0),
        ({"pending": 0, "waiting": 1, "waiting_reason": WaitingReason.RETRY_BACKOFF,
          "next_start_in_ms": 7_000.0}, 0.01, 7.0),
        ({"status": JobState.PAUSED, "gap_ms": 500}, 1.0, None),
        ({"status": JobState.COMPLETED}, 1.0, None),
        ({"pending": 0}, 1.0, None),
    ],
)  # fmt: skip
def test_the_time_still_needed_is_honest(
    values: dict[str, Any], rate: float | None, expected: float | None
) -> None:
    """The pace is the floor, the rate may make it longer, a wait comes first, else unknown."""
    assert expected == eta_s(job(**values), rate)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"waiting_reason": WaitingReason.DOMAIN_DELAY, "next_start_in_ms": 300.0},
         "domain delay 0.3 s"),
        ({"waiting_reason": WaitingReason.DOMAIN_DELAY, "next_start_in_ms": 1.0}, "domain delay"),
        ({"waiting_reason": WaitingReason.DOMAIN_BLOCKED, "next_start_in_ms": 12_000.0},
         "blocked 12 s"),
        ({"waiting_reason": WaitingReason.DOMAIN_BLOCKED, "next_start_in_ms": 2_000.0,
          "completed": 0}, "robots.txt, again in 2 s"),
        ({"waiting_reason": WaitingReason.DOMAIN_BLOCKED, "next_start_in_ms": 0.0,
          "completed": 0}, "blocked"),
        ({"waiting_reason": WaitingReason.DOMAIN_BLOCKED, "next_start_in_ms": 2_000.0,
          "completed": 0, "handler": "another"}, "blocked 2 s"),
        ({"waiting_reason": WaitingReason.RETRY_BACKOFF, "next_start_in_ms": 65_000.0},
         "retry in 65 s"),
        ({"waiting_reason": WaitingReason.SCHEDULED, "next_start_in_ms": 7_200_000.0},
         "scheduled in 2 h"),
        ({"waiting_reason": WaitingReason.CONCURRENCY_LIMIT}, "concurrency limit"),
        ({"waiting_reason": WaitingReason.WORKER_CAPACITY, "next_start_in_ms": 0.0},
         "a free slot"),
        ({"waiting_reason": WaitingReason.WORKER_CAPACITY, "workers_alive": 0}, "a process"),
        ({"waiting_reason": WaitingReason.JOB_PAUSED}, "job paused"),
        ({"running": 3}, "3 running"),
        ({"status": JobState.CANCELLED, "waiting_reason": WaitingReason.DOMAIN_DELAY}, ""),
    ],
)  # fmt: skip
def test_the_waiting_reason_is_said_in_words(values: dict[str, Any], expected: str) -> None:
    """Every reason of the closed set has words, with the time where it is known."""
    assert expected == waiting_words(job(**values))


def test_every_waiting_reason_has_words() -> None:
    """A new reason can't be forgotten."""
    assert all(waiting_words(job(waiting_reason=reason)) for reason in WaitingReason)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 s"), (0.34, "0.3 s"), (3.0, "3 s"), (9.96, "10.0 s"), (12.4, "12 s"),
        (99.0, "99 s"), (100.0, "1 min 40 s"), (120.0, "2 min"), (3599.0, "59 min 59 s"),
        (3600.0, "1 h"), (7800.0, "2 h 10 min"), (86_400.0, "1 d"), (100_000.0, "1 d 3 h"),
    ],
)  # fmt: skip
def test_durations_read_well(seconds: float, expected: str) -> None:
    """From tenths of a second to days."""
    assert expected == duration(seconds)


def test_growing_totals_are_marked() -> None:
    """While pages are still being found, total and time carry a plus."""
    history = History()
    history.note(0.0, [job(total=50, pending=30)])
    history.note(2.0, [job(gap_ms=100)])
    (shown,) = rows_of([job(gap_ms=100)], history, {"site-1.example": "bookshop"})
    assert ("bookshop", "20/100+", "8 s+") == (
        shown.label,
        progress.done(shown),
        progress.eta(shown),
    )


def test_a_wide_terminal_shows_everything() -> None:
    """Site, counts, bar, rate, reason and time, a header and the total."""
    lines = drawn([row(1), row(2, state=JobState.COMPLETED, eta_s=None, waiting="")], 120, 20)
    assert 4 == len(lines)
    for word in ("site-1.example", "20/100", "2.0/s", "domain delay 0.3 s", "40 s"):
        assert word in lines[1]
    assert "completed" in lines[2]
    assert "total 40/200, 1 of 2 sites at work, 2.0/s, ETA 40 s" == lines[3].strip()


@pytest.mark.parametrize("columns", [20, 30, 40, 59, 60, 80, 95, 96, 200])
def test_no_terminal_is_too_narrow(columns: int) -> None:
    """Nothing wraps: a line a site, at most as wide as the terminal; the ETA is always there."""
    label = "a-very-long-name." * 5 + "example"
    lines = drawn([row(number, label=label) for number in range(3)], columns, 10)
    assert 5 == len(lines)
    assert all(len(line) <= columns for line in lines)
    assert all("40 s" in line for line in lines[1:4])


@pytest.mark.parametrize("lines", [4, 10, 24])
def test_a_hundred_sites_fit_on_any_height(lines: int) -> None:
    """The neediest that fit, the number left out, and the total over all."""
    rows = [row(number, eta_s=float(number)) for number in range(150)]
    rows[149] = row(149, state=JobState.COMPLETED, eta_s=None)
    shown = drawn(rows, 100, lines)
    assert lines == len(shown)
    assert "site-148" in shown[1]
    assert f"... and {150 - (lines - 3)} more" == shown[-2].strip()
    assert "149 of 150 sites at work" in shown[-1]


def test_rows_keep_their_order_while_they_fit() -> None:
    """A table that is sorted anew each time can't be read."""
    rows = [row(number, eta_s=float(number)) for number in range(5)]
    assert (rows, 0) == progress.fitting(rows, 5)


def test_plain_lines_have_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal: the state every few seconds, the end of each site once."""
    plain = live.Plain({"site-1.example": "bookshop"})
    for second in range(12):
        plain.show(float(second), [job(completed=20 + second)])
    ended = job(status=JobState.COMPLETED, pending=0, completed=100)
    plain.show(12.0, [ended])
    plain.show(13.0, [ended])
    text = capsys.readouterr().err
    assert text.replace("\n", "").isprintable()
    lines = text.splitlines()
    assert 2 == sum(line.startswith("total") for line in lines)
    assert 1 == lines.count("bookshop: completed, 100/100 done")
    assert lines[-1] == "bookshop: completed, 100/100 done"


def test_plain_lines_name_at_most_a_few_sites() -> None:
    """A hundred sites are no hundred lines every five seconds."""
    lines = progress.plain_lines([row(number) for number in range(100)])
    assert 10 == len(lines)
    assert "... and 92 more sites" in lines
