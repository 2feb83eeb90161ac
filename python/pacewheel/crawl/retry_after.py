"""How long to stay away: as Retry-After asks (RFC 9110 section 10.2.3), or doubling. Pure functions."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 3_600.0
"""A site that asks for more is asked again after an hour."""

_MIN_RETRY_AFTER_S = 1.0
_BACKOFF_CAP_S = 300.0


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds that `value` (seconds or an HTTP date) asks for, within 1 s and 1 h.

    `now` is the wall clock, aware. None when the header is absent or can't be read.
    """
    if value is None or not value.strip():
        return None
    text = value.strip()
    if text.isdecimal():
        asked_s = float(text[:12])
    else:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        asked_s = math.ceil((date - now).total_seconds())
    return min(max(asked_s, _MIN_RETRY_AFTER_S), MAX_RETRY_AFTER_S)


def backoff_s(attempt: int, base_s: float) -> float:
    """Return how long to stay away where nothing was said: doubled by each attempt, 5 min at most."""
    return float(min(base_s * 2 ** min(max(attempt - 1, 0), 16), _BACKOFF_CAP_S))
