"""Retry-After in both forms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.crawl.retry_after import MAX_RETRY_AFTER_S, backoff_s, retry_after_s

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120),
        (" 7 ", 7),
        ("0", 1),
        ("7200", 7200),
        ("999999999999999999999", 86400),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("Sunday, 01-Mar-26 12:02:00 GMT", 120),
        ("Sun Mar  1 12:02:00 2026", 120),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 1),
        ("Sun, 01 Mar 2027 12:00:00 GMT", 86400),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u0663", None),
        ("Sun, 01 Mar 99999999999999999999 12:02:00 GMT", None),
        ("Sun, 01 Mar 2026 12:02:00 +99999999999999999", None),
    ],
)
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    """Seconds or one of the three HTTP date forms, within 1 s and 1 day; None when unreadable."""
    assert seconds == retry_after_s(value, NOW)


_WORDS = ["Sun,", "01", "Mar", "2026", "12:02:00", "GMT", "+9999", "9" * 25, "-", ",", "(", "\x00"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(_WORDS)).map(" ".join)))
def test_whatever_a_site_sends_is_within_the_limits_or_ignored(value: str) -> None:
    """Never an error, never a pause of years."""
    seconds = retry_after_s(value, NOW)
    assert seconds is None or 1 <= seconds <= MAX_RETRY_AFTER_S


def test_where_nothing_is_said_the_pause_doubles_up_to_five_minutes() -> None:
    """The first one is the base, whatever the attempt's number."""
    assert [10.0, 10.0, 20.0, 40.0] == [backoff_s(attempt, 10.0) for attempt in range(4)]
    assert [256.0, 300.0] == [backoff_s(attempt, 2.0) for attempt in (8, 9)]
    assert 300.0 == backoff_s(32_000, 10.0)
