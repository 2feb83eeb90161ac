"""What a process remembers of itself: bounds, and series side by side."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pacewheel import WaitingReason
from pacewheel.overview import Totals
from pacewheel.web.figures import Rates
from pacewheel.web.history import KEPT_S, SAMPLES_MAX, SERIES, History, Sample

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def totals(domain_delay: int = 3, **values: int) -> Totals:
    """Sums of which only these are not zero."""
    numbers = {name: 0 for name in Totals.__dataclass_fields__ if name != "waiting_by_reason"}
    reasons = dict.fromkeys(WaitingReason, 0)
    reasons[WaitingReason.DOMAIN_DELAY] = domain_delay
    return Totals(**{**numbers, **values}, waiting_by_reason=reasons)  # type: ignore[arg-type]


def sample(at_s: float) -> Sample:
    """A sample at a moment."""
    return Sample(
        BEGAN + timedelta(seconds=at_s),
        at_s,
        slots=8,
        busy=1,
        rates=Rates(claimed_per_s=2.0),
        transaction_p99_ms=None,
        cache_hit_ratio=None,
        totals=None,
    )


def history_of(*samples: Sample) -> History:
    """A history of these samples."""
    history = History()
    for each in samples:
        history.add(each)
    return history


def test_what_is_kept_is_bounded_in_time_and_number() -> None:
    """A quarter of an hour, and never more than a thousand samples."""
    history = history_of(sample(0), sample(KEPT_S + 1))
    assert 1 == len(history.series()["at"])
    many = history_of(*(sample(n / 10) for n in range(SAMPLES_MAX + 50)))
    assert SAMPLES_MAX == len(many.series()["at"])


def test_what_tasks_wait_for_is_averaged_over_the_last_seconds() -> None:
    """Of samples that know it; what is older counts no more."""
    history = history_of(
        replace(sample(0), totals=totals(3)), sample(8), replace(sample(9), totals=totals(9))
    )
    lately = history.waiting_lately(replace(sample(11), totals=totals(0)))
    assert 4.5 == lately[WaitingReason.DOMAIN_DELAY]
    assert 0 == lately[WaitingReason.SCHEDULED]
    assert 0 == history.waiting_lately(sample(60))[WaitingReason.DOMAIN_DELAY]


def test_times_rise_although_the_clock_was_set() -> None:
    """Back by an hour: what was sampled before was before, by the clock as it is now."""
    set_back = replace(sample(2), at=BEGAN - timedelta(hours=1))
    expected = [set_back.at - timedelta(seconds=1), set_back.at]
    assert [at.isoformat() for at in expected] == history_of(sample(1), set_back).series()["at"]


def test_series_stand_side_by_side() -> None:
    """Every series has a value or None a sample; what nobody asked the database for is None."""
    known = replace(sample(2), totals=totals(pending=3, jobs_active=1))
    shown = history_of(sample(1), known).series()
    assert [(BEGAN + timedelta(seconds=n)).isoformat() for n in (1, 2)] == shown["at"]
    series = shown["series"]
    assert [None, 3] == series["pending"]
    assert [None, 1] == series["jobs_active"]
    assert [8, 8] == series["slots"]
    assert [2.0, 2.0] == series["claimed_per_s"]
    assert [None, 3] == series["waiting_by_reason"]["domain_delay"]
    assert {*SERIES, "waiting_by_reason"} == set(series)
    assert all(len(series[name]) == 2 for name in SERIES)
