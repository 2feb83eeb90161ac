"""Rates of counters over their last seconds."""

from __future__ import annotations

import pytest

from pacewheel.rates import SAMPLES_MAX, WINDOW_S, Rates


def test_the_samples_are_bounded_and_cover_the_window() -> None:
    """However often it is told, it keeps at most 64 samples a counter, ten seconds deep."""
    rates: Rates[str] = Rates()
    for step in range(5000):
        rates.note(step * 0.01, {"a": step})
    samples = rates._samples["a"]
    assert len(samples) <= SAMPLES_MAX
    assert samples[-1][0] - samples[0][0] >= WINDOW_S * 0.9
    assert pytest.approx(100.0, rel=0.02) == rates.per_s("a")


def test_a_counter_that_falls_starts_anew() -> None:
    """The server's statistics were reset, say: a rate below zero would be nonsense."""
    rates: Rates[str] = Rates()
    for second in range(5):
        rates.note(second, {"a": 1000 + second})
    rates.note(5, {"a": 10})
    assert rates.per_s("a") is None
    assert not rates.grew("a")
    rates.note(6, {"a": 12})
    assert 2.0 == rates.per_s("a")
    assert rates.grew("a")


def test_what_is_seen_no_more_is_forgotten() -> None:
    """Jobs end and others come, as long as somebody watches."""
    rates: Rates[int] = Rates()
    for second in range(100):
        rates.note(second, {second: 1.0})
    assert len(rates._samples) <= WINDOW_S + 1
    assert rates.per_s(7) is None
