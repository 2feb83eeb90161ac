"""What a process remembers of itself: rates, bounds, series side by side."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pacewheel import WaitingReason
from pacewheel.overview import Totals
from pacewheel.web.history import KEPT_S, SAMPLES_MAX, SERIES, History, Sample

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def totals(**values: int) -> Totals:
    """Sums of which only these are not zero."""
    numbers = {name: 0 for name in Totals.__dataclass_fields__ if name != "waiting_by_reason"}
    reasons = dict.fromkeys(WaitingReason, 0)
    return Totals(**{**numbers, **values}, waiting_by_reason={**reasons, "domain_delay": 3})  # type: ignore[arg-type,dict-item]


def sample(at_s: float, completed: float = 0.0, attempts: int | None = None) -> Sample:
    """A sample at a moment, with nothing but these counts."""
    return Sample(
        BEGAN + timedelta(seconds=at_s),
        at_s,
        claimed=0.0,
        completed=completed,
        failed=0.0,
        retried=0.0,
        raises=0.0,
        cpu_s=0.0,
        received_bytes=None,
        sent_bytes=None,
        slots=8,
        busy=1,
        transaction_counts=(),
        attempts=attempts,
    )


def history_of(*samples: Sample) -> History:
    """A history of these samples."""
    history = History()
    for each in samples:
        history.add(each)
    return history


@pytest.mark.parametrize(
    ("before", "now", "rate"),
    [
        ([], sample(10, 50), None),
        ([sample(9.5, 10)], sample(10, 50), None),
        ([sample(5, 10)], sample(10, 50), 8.0),
        ([sample(-1, 0), sample(5, 10)], sample(10, 50), 8.0),
        ([sample(0, 10), sample(5, 10)], sample(10, 60), 5.0),
        ([sample(5, 1000)], sample(10, 50), 10.0),
    ],
    ids=["nothing", "too short", "five seconds", "too old", "ten seconds", "began anew"],
)
def test_rates_are_those_of_the_last_ten_seconds(
    before: list[Sample], now: Sample, rate: float | None
) -> None:
    """Of the oldest sample within them to the newest; none of one sample."""
    assert rate == history_of(*before).rates_until(now).completed_per_s


def test_rates_of_the_database_bridge_samples_that_did_not_ask_it() -> None:
    """A reading that came late leaves the rate as it was a moment before."""
    history = history_of(sample(1, attempts=100), sample(3, attempts=120), sample(4))
    assert 10.0 == history.rates_until(sample(5)).attempts_per_s
    assert history_of(sample(4)).rates_until(sample(5)).attempts_per_s is None


def test_what_is_kept_is_bounded_in_time_and_number() -> None:
    """A quarter of an hour, and never more than a thousand samples."""
    history = history_of(sample(0), sample(KEPT_S + 1))
    assert 1 == len(history.series()["at"])
    many = history_of(*(sample(n / 10) for n in range(SAMPLES_MAX + 50)))
    assert SAMPLES_MAX == len(many.series()["at"])


def test_series_stand_side_by_side() -> None:
    """Every series has a value or None a sample; what nobody asked the database for is None."""
    known = replace(sample(2), totals=totals(pending=3, jobs_active=1))
    shown = history_of(sample(1), known).series()
    assert [(BEGAN + timedelta(seconds=n)).isoformat() for n in (1, 2)] == shown["at"]
    series = shown["series"]
    assert [None, 3] == series["pending"]
    assert [None, 1] == series["jobs_active"]
    assert [8, 8] == series["slots"]
    assert [None, 3] == series["waiting_by_reason"]["domain_delay"]
    assert {*SERIES, "waiting_by_reason"} == set(series)
    assert all(len(series[name]) == 2 for name in SERIES)
