"""Scaler: sizes the worker pool between its bounds, and explains each evaluation.

Owns how many slots the process has. Every `scale_interval_s` it reads what the other parts noted in
memory since the last time (no query: an idle process asks the database nothing), lets
`pacewheel.scaling` decide, counts the decision with its reason, and logs a change. A process starts
with all its slots, so that a restart under load or a single command is not slow; what is not needed
goes while it is idle.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.clock import monotonic_ms
from pacewheel.logs import Logger
from pacewheel.scaling import Reading, ScaleDecision, Sizing
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from pacewheel.metrics import Metrics

log = Logger("scaler")


class Scaler(Service):
    """Evaluates, sets the pool's capacity, counts and logs."""

    def __init__(
        self,
        *,
        set_capacity: Callable[[int], None],
        take_busy_max: Callable[[], int],
        take_shortage_ms: Callable[[], float],
        has_due: Callable[[], bool],
        look_ahead: Callable[[], None],
        headroom: Callable[[], float],
        memory_used: Callable[[], int],
        memory_limit: int,
        slots_min: int,
        slots_max: int,
        interval_s: float,
        metrics: Metrics,
    ) -> None:
        super().__init__()
        self._set_capacity = set_capacity
        self._take_busy_max = take_busy_max
        self._take_shortage_ms = take_shortage_ms
        self._has_due = has_due
        self._look_ahead = look_ahead
        self._headroom = headroom
        self._memory_used = memory_used
        self._memory_limit = memory_limit
        self._interval_s = interval_s
        self._metrics = metrics
        self._sizing = Sizing(slots_max, min(slots_min, slots_max), slots_max)
        self._read_at_ms = monotonic_ms()
        metrics.slots_min.set(self._sizing.slots_min)
        metrics.slots_max.set(slots_max)
        metrics.slots.set(slots_max)
        metrics.memory_limit.set(memory_limit)

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self.run_once()

    async def run_once(self) -> int:
        """Evaluate once; return the slots there are now."""
        before = self._sizing.slots
        reading = self._read()
        scaling = self._sizing.evaluate(reading)
        if scaling.decision is not ScaleDecision.NO_CHANGE:
            self._set_capacity(scaling.target)
            log.say(
                events.SCALED,
                slots_before=before,
                slots=scaling.target,
                reason=scaling.reason,
                busy=reading.busy,
                short=round(reading.shortage, 3),
                headroom=round(reading.headroom, 3),
                memory=round(reading.memory, 3),
            )
        elif self._sizing.obstacle(reading) is None:
            # What that finds out counts in the next reading.
            self._look_ahead()
        self._metrics.note_scaling(scaling, before)
        self._metrics.slots_busy.set(reading.busy)
        return scaling.target

    def _read(self) -> Reading:
        now_ms = monotonic_ms()
        passed_ms, self._read_at_ms = now_ms - self._read_at_ms, now_ms
        busy = self._take_busy_max()
        return Reading(
            busy=busy,
            shortage=min(1.0, self._take_shortage_ms() / max(1.0, passed_ms)),
            runnable=busy > 0 or self._has_due(),
            headroom=self._headroom(),
            memory=self._memory_used() / self._memory_limit,
        )
