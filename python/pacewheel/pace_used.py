"""How much of its domain's pace is used lately: departures against those that the gaps permitted.

Owns one sum that fades, so that the last two minutes count most; the owner's memory, empty after each
lease. Time comes in as an argument.
"""

from __future__ import annotations

from math import exp

FADE_MS = 120_000.0
# Before, one departure more or less decides.
KNOWN_AFTER_MS = 2_000.0


class PaceUsed:
    """Counts departures of one domain, each as the gap that it had to keep."""

    __slots__ = ("_at_ms", "_since_ms", "_spent_ms")

    def __init__(self) -> None:
        self._since_ms: float | None = None
        self._at_ms = 0.0
        self._spent_ms = 0.0

    def departed(self, now_ms: float, gap_ms: float) -> None:
        """Note a departure; the first one only begins the time that is looked at."""
        if self._since_ms is None:
            self._since_ms = now_ms
        else:
            self._spent_ms = self._faded(now_ms) + gap_ms
        self._at_ms = now_ms

    def share(self, now_ms: float) -> float | None:
        """Return the share of the permitted departures that were made, 0 to 1.

        None: not known yet, or there is no gap, so that any number is permitted.
        """
        if self._since_ms is None or now_ms - self._since_ms < KNOWN_AFTER_MS or not self._spent_ms:
            return None
        looked_at_ms = FADE_MS * (1 - exp((self._since_ms - now_ms) / FADE_MS))
        return min(1.0, self._faded(now_ms) / looked_at_ms)

    def _faded(self, now_ms: float) -> float:
        return self._spent_ms * exp((self._at_ms - now_ms) / FADE_MS)
