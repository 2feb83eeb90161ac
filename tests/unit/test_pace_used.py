"""The share of a domain's pace that is used, by departures at given times."""

from __future__ import annotations

import pytest

from pacewheel.pace_used import PaceUsed


def used_after(departures_ms: range, gap_ms: float, now_ms: float) -> float | None:
    """The share after departures at these times, each of which had to keep the gap."""
    used = PaceUsed()
    for at_ms in departures_ms:
        used.departed(at_ms, gap_ms)
    return used.share(now_ms)


def test_it_is_not_known_before_it_can_be() -> None:
    """Without a departure, and in the first two seconds."""
    assert None is PaceUsed().share(1_000_000)
    assert None is used_after(range(0, 1_001, 500), 500, 1_000)


@pytest.mark.parametrize(("apart_ms", "share"), [(500, 1.0), (1_000, 0.5), (5_000, 0.1)])
def test_it_is_the_gap_by_the_time_between_departures(apart_ms: int, share: float) -> None:
    """After ten minutes as after ten seconds, within the last departure's weight."""
    for until_ms in (20_000, 600_000):
        found = used_after(range(0, until_ms + 1, apart_ms), 500, until_ms)
        assert found is not None
        assert share == pytest.approx(found, abs=0.02 if until_ms > 20_000 else 0.06)


def test_it_falls_when_nothing_departs() -> None:
    """By the clock alone: half a fade later to 61 %, much later to nearly nothing."""
    departures = range(0, 1_200_001, 500)
    assert 0.607 == pytest.approx(used_after(departures, 500, 1_260_000), abs=0.01)
    found = used_after(departures, 500, 2_400_000)
    assert found is not None
    assert found < 0.001


def test_a_longer_gap_counts_as_what_it_is() -> None:
    """A domain asked at its pace is used whole, whatever its pace became."""
    used = PaceUsed()
    for at_ms in range(0, 60_001, 500):
        used.departed(at_ms, 500)
    for at_ms in range(62_000, 120_001, 2_000):
        used.departed(at_ms, 2_000)
    assert 1.0 == pytest.approx(used.share(120_000), abs=0.02)


def test_no_gap_permits_any_number() -> None:
    """Then there is no share of it."""
    assert None is used_after(range(0, 10_001, 10), 0, 10_000)
