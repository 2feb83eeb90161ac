"""The words for a domain: its gap, who set it, when a request may start, and its last refusal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pacewheel.cli.domains import blocked, next_slot, set_by, table
from pacewheel.cli.top import Watcher
from pacewheel.cli.waiting import LINES_MAX, waiting_lines
from pacewheel.cli.why import domain_line
from pacewheel.model import Waiting, WaitingReason
from pacewheel.overview import DomainInfo


def domain(**values: Any) -> DomainInfo:
    """A calm domain with a gap of half a second that a user has set, every field optional."""
    base: dict[str, Any] = {
        "id": 1, "name": "a.example", "owner": 1, "gap_ms": 500, "base_delay_ms": 500,
        "robots_delay_ms": 0, "adaptive_delay_ms": 0, "next_slot_in_ms": 0.0,
        "blocked_in_ms": None, "block_reason": None, "refused_at": None, "failures": 0,
        "live_jobs": 1, "pending": 3, "waiting": 0, "running": 1, "completed": 0, "failed": 0,
    }  # fmt: skip
    return DomainInfo(**{**base, **values})


@pytest.mark.parametrize(
    ("values", "slot", "block"),
    [
        ({}, "now", "-"),
        ({"next_slot_in_ms": 300.0}, "300 ms", "-"),
        (
            {"blocked_in_ms": 3800.0, "block_reason": "retry_after"},
            "3.8 s",
            "retry_after, 3.8 s",
        ),
        (
            {"blocked_in_ms": 100.0, "block_reason": "asked", "next_slot_in_ms": 300.0},
            "300 ms",
            "asked, 100 ms",
        ),
        ({"blocked_in_ms": 0.0, "block_reason": "circuit_open"}, "now", "circuit_open"),
    ],
)
def test_a_slot_comes_after_the_block(values: dict[str, Any], slot: str, block: str) -> None:
    """The later of both; after an open circuit's time the next request is a trial."""
    assert (slot, block) == (next_slot(domain(**values)), blocked(domain(**values)))


def test_what_set_the_gap_and_when_the_site_last_refused() -> None:
    """What answers taught counts first; the time is that of whoever looks."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    learnt = domain(gap_ms=1000, adaptive_delay_ms=1000, refused_at=at)
    assert ["user", "429s", "-"] == [set_by(domain()), set_by(learnt), set_by(domain(gap_ms=0))]
    local = f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
    assert table([learnt])[1].endswith(f"  {local}")
    assert f"the last 429 or 503 at {local}; 1 task running" in domain_line(learnt)
    assert "429 or 503" not in domain_line(domain())


def test_a_share_of_the_pace_takes_some_gaps_to_be_known() -> None:
    """After one gap, one request more or less would be all of it or nothing."""
    watcher = Watcher()
    for second, completed in enumerate((0, 1, 2, 2, 3, 4)):
        watcher._answered.note(second, {1: completed})
        used = watcher._used([domain(gap_ms=1000)])
        assert {} == used if second < 5 else {1: 0.8} == used
    assert {} == watcher._used([domain(gap_ms=0)])


def test_a_domain_of_very_many_jobs_fills_no_screens() -> None:
    """The first reasons, and how many more there are."""
    found = [Waiting(n, "a", WaitingReason.JOB_PAUSED, 1, None, "-") for n in range(5000)]
    lines = waiting_lines(found)
    assert LINES_MAX + 1 == len(lines)
    assert "... and 4800 more; --json tells all of them" == lines[-1]
    assert LINES_MAX == len(waiting_lines(found[:LINES_MAX]))
