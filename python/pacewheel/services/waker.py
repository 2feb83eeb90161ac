"""Waker: one timer wheel, driven by one timer of the event loop.

Owns two kinds of wake-ups, both keyed by domain: its next slot is due, its next waiting task is
ready. A domain needs two timers however many tasks it has. A timer is a hint and the row decides,
so a lost one costs at most a sweep; all of them are set again by the claims that follow a lease.
What lies beyond the horizon, or finds the wheel full, is counted and left to the sweep. A timer
whose tasks are gone goes too, as soon as a claim or a wake-up finds that nothing waits.

Domains whose time has come while a statement is under way make up the next one: many timers of one
tick are one statement.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pacewheel._core import BeyondHorizon, TimerWheel, WheelFull
from pacewheel.clock import monotonic_ms
from pacewheel.model import WaitingReason
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from pacewheel.held import Held, HeldDomain
    from pacewheel.metrics import Metrics
    from pacewheel.ports import TaskStore, Woken

SLOT = 0
READY = 1
KINDS = {SLOT: "slot", READY: "ready"}
FIRE_MAX = 4096
# One statement wakes so many tasks at most, in so many domains.
WAKE_ROWS_MAX = 10_000
WAKE_TASKS_MAX = 1000
WAKE_DOMAINS_MAX = 1000
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
        metrics: Metrics,
    ) -> None:
        super().__init__()
        self._store = store
        self._held = held
        self._mark_due = mark_due
        self._horizon_ms = horizon_ms
        self._metrics = metrics
        self._wheel = TimerWheel(int(monotonic_ms()), timers_max)
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ms: int | None = None
        self._told_ms = monotonic_ms()
        self._ready: dict[int, float | None] = {}
        """Domains to be woken, and when the timer of each was due, if it was one that fired."""
        self._wake = asyncio.Event()
        for kind, name in KINDS.items():
            metrics.timers.labels(name).set_function(partial(self._wheel.count, kind))

    def slot_at(self, domain_id: int, at_ms: float) -> None:
        """Mark the domain due at this monotonic millisecond (replaces its slot timer)."""
        self._schedule(SLOT, domain_id, at_ms)

    def ready_in(self, domain_id: int, in_ms: float) -> None:
        """Wake the domain's waiting tasks in so many milliseconds, unless an earlier timer is set."""
        domain = self._held.get(domain_id)
        if domain is None:
            return
        now_ms = monotonic_ms()
        domain.wake_told_ms = now_ms
        if domain.wake_at_ms is not None and domain.wake_at_ms <= now_ms:
            # That timer is late, or lost: what there is to know of it is asked for.
            domain.wake_at_ms = None
            self.look(domain_id)
        if in_ms <= 0:
            self.look(domain_id)
        elif in_ms > self._horizon_ms:
            self._metrics.timers_refused.labels("ready", "horizon").inc()
        elif domain.wake_at_ms is None or now_ms + in_ms < domain.wake_at_ms:
            is_set = self._schedule(READY, domain_id, now_ms + in_ms)
            domain.wake_at_ms = now_ms + in_ms if is_set else None

    def nothing_waits(self, domain_id: int, since_ms: float) -> None:
        """Take the domain's timer out: a statement sent at `since_ms` saw no waiting task.

        Unless something was said of one since then: the statement may not have seen it.
        """
        domain = self._held.get(domain_id)
        if domain is not None and domain.wake_told_ms < since_ms:
            domain.wake_at_ms = None
            self._wheel.cancel(READY, domain_id)

    def look(self, domain_id: int) -> None:
        """Ask at once which of the domain's waiting tasks are ready, and when the next one is."""
        self._ready.setdefault(domain_id, None)
        self._wake.set()

    def forget(self, domain_id: int) -> None:
        """Remove the domain's timers."""
        self._wheel.cancel(SLOT, domain_id)
        self._wheel.cancel(READY, domain_id)
        self._ready.pop(domain_id, None)

    def _schedule(self, kind: int, domain_id: int, at_ms: float) -> bool:
        if monotonic_ms() - self._told_ms > STALE_MS:
            self._fire()
        try:
            earliest = self._wheel.schedule(kind, domain_id, int(at_ms) + 1)
        except BeyondHorizon:
            self._metrics.timers_refused.labels(KINDS[kind], "horizon").inc()
            return False
        except WheelFull:
            self._metrics.timers_refused.labels(KINDS[kind], "full").inc()
            return False
        if self._armed_ms is None or earliest < self._armed_ms:
            self._arm(earliest)
        return True

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
            domain = self._held.get(domain_id)
            if kind == SLOT:
                self._mark_due(domain_id)
            elif domain is not None:
                self._ready[domain_id] = domain.wake_at_ms
                # What is said of waiting tasks from now on may come too late for the statement.
                domain.wake_at_ms = None
                domain.idle_since_ms = None
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
        """Wake what waits in the domains whose time has come, in one statement; return how many."""
        ready = dict(islice(self._ready.items(), WAKE_DOMAINS_MAX))
        for domain_id in ready:
            del self._ready[domain_id]
        if not self._ready:
            self._wake.clear()
        domain_ids = sorted(domain_id for domain_id in ready if self._held.get(domain_id))
        if not domain_ids:
            return 0
        limit = min(WAKE_TASKS_MAX, WAKE_ROWS_MAX // len(domain_ids))
        sent_ms = monotonic_ms()
        try:
            woken = await self._store.wake_tasks(domain_ids, limit)
        except BaseException:
            self._ready = {**self._ready, **ready}
            self._wake.set()
            raise
        for answer in woken:
            domain = self._held.get(answer.domain_id)
            if domain is not None:
                self._take(domain, answer, ready[answer.domain_id], sent_ms)
        return sum(answer.woken for answer in woken)

    def _take(
        self, domain: HeldDomain, answer: Woken, ready_ms: float | None, sent_ms: float
    ) -> None:
        self._metrics.tasks_woken.inc(answer.woken)
        self._metrics.waits.observe_ms(WaitingReason.SCHEDULED, answer.scheduled_ms)
        if ready_ms is not None:
            self._metrics.wake_up_lag.observe(max(0.0, monotonic_ms() - ready_ms) / 1000)
        if answer.woken or ready_ms is not None:
            self._mark_due(domain.id)
        if answer.wake_in_ms is None:
            self.nothing_waits(domain.id, sent_ms)
        # Tasks that are ready and can't be woken are no reason to ask at once again.
        elif answer.woken or answer.wake_in_ms > 0:
            self.ready_in(domain.id, answer.wake_in_ms)
