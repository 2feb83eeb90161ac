"""Whether the database is away, said once: when it is lost, and when it is back.

Owns the time at which it was lost, for one process: whoever speaks to the database notes what came
of it. Each part of the engine waits and tries again by itself; none of them says so. A server that
answers is not back while it refuses what others ask of it (read-only after a failover, say).
"""

from __future__ import annotations

from pacewheel import events
from pacewheel.clock import monotonic_ms
from pacewheel.logs import Logger

log = Logger("database")

# Longer than any part of the engine pauses before it tries again.
STEADY_MS = 3_000.0


class Outage:
    """One process's view of its database."""

    __slots__ = ("_back_ms", "_lost_ms")

    def __init__(self) -> None:
        self._lost_ms: float | None = None
        self._back_ms: float | None = None
        """Since when nothing has failed."""

    def failed(self, error: Exception) -> None:
        """Note that the database could not be reached, or is not writable."""
        self._back_ms = None
        if self._lost_ms is None:
            self._lost_ms = monotonic_ms()
            log.say(events.DATABASE_LOST, error=error)

    def worked(self) -> None:
        """Note that a statement succeeded; the outage is over when nothing fails any more."""
        if self._lost_ms is None:
            return
        now_ms = monotonic_ms()
        if self._back_ms is None:
            self._back_ms = now_ms
        if now_ms - self._back_ms >= STEADY_MS:
            self.over(self._back_ms)

    def over(self, back_ms: float | None = None) -> None:
        """Note that everything works, since `back_ms` or just now."""
        if self._lost_ms is not None:
            duration_s = ((back_ms or monotonic_ms()) - self._lost_ms) / 1000
            self._lost_ms = self._back_ms = None
            log.say(events.DATABASE_RETURNED, duration_s=duration_s)
