"""Waker: one timer wheel, driven by one timer of the event loop.

Owns two kinds of wake-ups, both keyed by domain: its next slot is due, its next waiting task is
ready. A domain needs two timers however many tasks it has. A timer is a hint and the row decides,
so a lost one costs at most a sweep; all of them are set again by the claims that follow a lease.
What lies beyond the horizon is left to the sweep.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pacewheel._core import BeyondHorizon, TimerWheel, WheelFull
from pacewheel.clock import monotonic_ms
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from pacewheel.held import Held
    from pacewheel.ports import TaskStore

log = logging.getLogger("pacewheel.waker")

SLOT = 0
READY = 1
FIRE_MAX = 4096
WAKE_TASKS_MAX = 1000
# Loops round timers down to whole milliseconds, so ours is set one millisecond later than its
# deadline.
ROUNDING_MS = 1
# The wheel reaches ahead of the time it was last told, so an idle one is told the time before it is
# used.
STALE_MS = 60_000


class Waker(Service):
    """Wakes domains whose slot is due, and makes pending the tasks that are ready."""

    def __init__(
        self,
        *,
        store: TaskStore,
        held: Held,
        mark_due: Callable[[int], None],
        timers_max: int,
        horizon_ms: int,
    ) -> None:
        super().__init__()
        self._store = store
        self._held = held
        self._mark_due = mark_due
        self._horizon_ms = horizon_ms
        self._wheel = TimerWheel(int(monotonic_ms()), timers_max)
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ms: int | None = None
        self._told_ms = monotonic_ms()
        self._ready: set[int] = set()
        self._wake = asyncio.Event()

    def slot_at(self, domain_id: int, at_ms: float) -> None:
        """Mark the domain due at this monotonic millisecond (replaces its slot timer)."""
        self._schedule(SLOT, domain_id, at_ms)

    def ready_in(self, domain_id: int, in_ms: float) -> None:
        """Wake the domain's waiting tasks in so many milliseconds, unless an earlier timer is set."""
        domain = self._held.get(domain_id)
        if domain is None or in_ms > self._horizon_ms:
            return
        at_ms = monotonic_ms() + in_ms
        if domain.wake_at_ms is None or at_ms < domain.wake_at_ms:
            domain.wake_at_ms = at_ms
            self._schedule(READY, domain_id, at_ms)

    def forget(self, domain_id: int) -> None:
        """Remove the domain's timers."""
        self._wheel.cancel(SLOT, domain_id)
        self._wheel.cancel(READY, domain_id)
        self._ready.discard(domain_id)

    def _schedule(self, kind: int, domain_id: int, at_ms: float) -> None:
        if monotonic_ms() - self._told_ms > STALE_MS:
            self._fire()
        try:
            earliest = self._wheel.schedule(kind, domain_id, int(at_ms) + 1)
        except (BeyondHorizon, WheelFull):
            return
        if self._armed_ms is None or earliest < self._armed_ms:
            self._arm(earliest)

    def _arm(self, deadline_ms: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_ms = deadline_ms
        if deadline_ms is not None:
            delay_ms = max(1.0, deadline_ms - monotonic_ms() + ROUNDING_MS)
            self._timer = asyncio.get_running_loop().call_later(delay_ms / 1000, self._fire)

    def _fire(self) -> None:
        self._told_ms = monotonic_ms()
        kinds, domain_ids, deadline_ms = self._wheel.advance(int(self._told_ms), FIRE_MAX)
        for kind, domain_id in zip(kinds, domain_ids, strict=True):
            if kind == SLOT:
                self._mark_due(domain_id)
            else:
                self._ready.add(domain_id)
                self._wake.set()
        self._arm(deadline_ms)

    async def stop(self) -> None:
        """Stop, and let the loop's timer go."""
        await super().stop()
        self._arm(None)

    async def _loop(self) -> None:
        while True:
            await self._wake.wait()
            await self.run_once()

    async def run_once(self) -> int:
        """Wake what waits in the domains whose timer fired, in one statement; return how many."""
        self._wake.clear()
        domain_ids = sorted(domain_id for domain_id in self._ready if self._held.get(domain_id))
        self._ready.clear()
        if not domain_ids:
            return 0
        try:
            woken = await self._store.wake_tasks(domain_ids, WAKE_TASKS_MAX)
        except BaseException:
            self._ready.update(domain_ids)
            self._wake.set()
            raise
        for answer in woken:
            domain = self._held.get(answer.domain_id)
            if domain is None:
                continue
            domain.wake_at_ms = None
            if answer.woken:
                self._mark_due(answer.domain_id)
            if answer.wake_in_ms is not None:
                self.ready_in(answer.domain_id, answer.wake_in_ms)
        return sum(answer.woken for answer in woken)
