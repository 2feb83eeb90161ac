"""Whether the database is away, said once: when it is lost, and when it is back.

Owns the time at which it was lost, for one process: whoever speaks to the database notes what came
of it. Each part of the engine waits and tries again by itself; none of them says so.
"""

from __future__ import annotations

from pacewheel import events
from pacewheel.clock import monotonic_ms
from pacewheel.logs import Logger

log = Logger("database")


class Outage:
    """One process's view of its database."""

    __slots__ = ("_lost_ms",)

    def __init__(self) -> None:
        self._lost_ms: float | None = None

    def failed(self, error: Exception) -> None:
        """Note that the database could not be reached, or is not writable."""
        if self._lost_ms is None:
            self._lost_ms = monotonic_ms()
            log.say(events.DATABASE_LOST, error=error)

    def worked(self) -> None:
        """Note that a statement succeeded."""
        if self._lost_ms is not None:
            duration_s = (monotonic_ms() - self._lost_ms) / 1000
            self._lost_ms = None
            log.say(events.DATABASE_RETURNED, duration_s=duration_s)
