"""Scheduler: fires schedules when they are due, and says what came of it.

Every process has one, and all of them wake at an occurrence; the database gives it to one. Keeps
one timer, for the earliest occurrence of all schedules (`find_next_occurrence`): a hint has it read
again, and so does a minute, which finds what no hint told.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.logs import Logger
from pacewheel.service import Service

if TYPE_CHECKING:
    from pacewheel.metrics import Metrics
    from pacewheel.ports import ScheduleStore
    from pacewheel.recurrence import Firing

log = Logger("scheduler")

LOOK_S = 60.0
# Another process is firing what is due. If it dies in the middle, this one has a look so soon.
PAUSE_MIN_S = 0.5


class Scheduler(Service):
    """Makes the jobs of schedules."""

    def __init__(self, *, store: ScheduleStore, metrics: Metrics) -> None:
        super().__init__()
        self._store = store
        self._metrics = metrics
        self._look = asyncio.Event()

    def look_soon(self) -> None:
        """Read the time of the next occurrence again: schedules have changed."""
        self._look.set()

    async def _loop(self) -> None:
        while True:
            self._look.clear()
            await self.run_once()
            due_in_ms = await self._store.find_next_occurrence()
            pause_s = LOOK_S if due_in_ms is None else min(due_in_ms / 1000, LOOK_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s if pause_s > 0 else PAUSE_MIN_S):
                    await self._look.wait()

    async def run_once(self) -> int:
        """Fire all that is due and that no other process has; return how many occurrences."""
        seen = 0
        while (firing := await self._store.fire_due()) is not None:
            seen += 1
            self._metrics.occurrences.labels(self._say(firing)).inc()
        return seen

    def _say(self, firing: Firing) -> str:
        """Log what became of an occurrence; return it as a word."""
        next_at = firing.next_at.isoformat(timespec="seconds")
        if firing.fault is not None:
            log.say(events.SCHEDULE_PAUSED, schedule=firing.name, error=firing.fault)
            return "refused"
        if firing.live_job_id is not None:
            log.say(
                events.SCHEDULE_SKIPPED,
                schedule=firing.name,
                live_job_id=firing.live_job_id,
                next_at=next_at,
            )
            return "skipped_overlap"
        log.say(events.SCHEDULE_FIRED, schedule=firing.name, job_id=firing.job_id, next_at=next_at)
        return "fired"
