"""Crawler traps: URLs that a site generates without end.

Owns the light guards against them (lesson 3: a relative link that appended itself for ever). Pure
functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pacewheel.crawl.urls import Url

_MAX_CHARS = 2_000
_MAX_SEGMENTS = 24
_MAX_PARAMETERS = 32
_LONGEST_PERIOD = 3
# How often a run of 1, 2 or 3 segments may stand in a row.
_REPEATS = {1: 4, 2: 3, 3: 3}
_SHORTEST_REPETITION = min(period * repeats for period, repeats in _REPEATS.items())


def trap_reason(url: Url) -> str | None:
    """Return why a discovered `url` looks like a trap, or None.

    The words: `length`, `depth`, `parameters`, `repetition` (/a/b/a/b/a/b, /a/a/a/a).
    """
    target = url.target
    if len(target) > _MAX_CHARS:
        return "length"
    path, _, query = target.partition("?")
    if query.count("&") >= _MAX_PARAMETERS:
        return "parameters"
    slashes = path.count("/")
    if slashes > _MAX_SEGMENTS:
        return "depth"
    if slashes >= _SHORTEST_REPETITION:
        segments = [segment for segment in path.split("/") if segment]
        if any(_repeats(segments, period) for period in range(1, _LONGEST_PERIOD + 1)):
            return "repetition"
    return None


def _repeats(segments: list[str], period: int) -> bool:
    run = 0
    for index in range(period, len(segments)):
        run = run + 1 if segments[index] == segments[index - period] else 0
        if run >= period * (_REPEATS[period] - 1):
            return True
    return False
