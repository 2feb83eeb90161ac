"""Settler: writes outcomes to the database in batches.

Owns the queue of settlements. One batch is under way at a time; what arrives meanwhile makes the
next one, so batches grow with the load and a lone task is settled at once. The queue is bounded
through `room`, by which the dispatcher claims less before it overflows. While the database is away
a batch is kept and tried again; the fence in SQL decides whether it still counts. A batch that the
database refuses is halved until the one bad row is found, which is then settled as failed without
what made it unacceptable.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from pacewheel import events, tracing
from pacewheel.errors import DataRefused, StoreUnavailable
from pacewheel.logs import Logger
from pacewheel.model import Outcome, TaskState
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pacewheel.held import Held, HeldDomain
    from pacewheel.metrics import Metrics
    from pacewheel.ports import Raises, Settlement, TaskStore

log = Logger("settler")

PAUSE_S = 0.2
PAUSE_MAX_S = 5.0
OUTCOMES = {
    TaskState.WAITING: "retry",
    TaskState.COMPLETED: "completed",
    TaskState.FAILED: "failed",
    TaskState.SKIPPED: "skipped",
}
# They may have been woken or retried, and passed over by a claim, before the settle's answer came.
CLAIMABLE_AGAIN = frozenset({TaskState.WAITING, TaskState.FAILED})
UNSETTLEABLE = Outcome.failed("unsettleable")


class Settler(Service):
    """Settles tasks; calls back for domains that it found lost, and for those that got new tasks."""

    def __init__(
        self,
        *,
        store: TaskStore,
        held: Held,
        metrics: Metrics,
        on_lost: Callable[[int], None],
        on_settled: Callable[[HeldDomain, Sequence[Settlement]], None],
        on_raises: Callable[[Raises], None],
        on_room: Callable[[], None],
        rows_max: int,
        queue_max: int,
    ) -> None:
        super().__init__()
        self._store = store
        self._held = held
        self._metrics = metrics
        self._on_lost = on_lost
        self._on_settled = on_settled
        self._on_raises = on_raises
        self._on_room = on_room
        self._rows_max = rows_max
        self._queue_max = queue_max
        self._queue: deque[Settlement] = deque()
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        metrics.settle_queue.set_function(lambda: len(self._queue))
        metrics.settle_queue_max.set(queue_max)

    def add(self, settlement: Settlement) -> None:
        """Queue one attempt's end."""
        if not self._queue:
            self._arrived.set()
            self._empty.clear()
        self._queue.append(settlement)

    def forget(self, domain_id: int) -> None:
        """Drop what is queued for a domain that is held no longer; a later lease is another."""
        self._queue = deque(item for item in self._queue if item.domain_id != domain_id)

    def room(self) -> int:
        """How many more settlements the queue takes before it is full."""
        return max(0, self._queue_max - len(self._queue))

    async def drain(self, grace_s: float) -> int:
        """Wait until all is settled, for so long at most; return how many are left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._empty.wait()
        left = self._held.unsettled()
        if left:
            log.say(events.OUTCOMES_LEFT, tasks=left)
        return left

    async def _loop(self) -> None:
        while True:
            await self._arrived.wait()
            await self.run_once()

    async def run_once(self) -> int:
        """Settle one batch; return how many rows that changed."""
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._rows_max))]
        try:
            return await self._settle(batch)
        except BaseException:
            self._queue.extendleft(reversed(batch))
            raise
        finally:
            if not self._queue:
                self._arrived.clear()
                self._empty.set()
            self._on_room()

    async def _settle(self, batch: Sequence[Settlement]) -> int:
        domain_ids = {item.domain_id for item in batch}
        epochs = {
            domain_id: domain.epoch
            for domain_id in domain_ids
            if (domain := self._held.get(domain_id))
        }
        mine = [item for item in batch if item.domain_id in epochs]
        if not mine or self._held.worker_id is None:
            return 0
        pause_s = PAUSE_S
        while True:
            try:
                with tracing.settle(item.task_id for item in mine):
                    settled = await self._store.settle_tasks(self._held.worker_id, epochs, mine)
                break
            except StoreUnavailable as error:
                self._metrics.settle_retries.inc()
                log.say(events.SERVICE_WAITING, service=self.name, error=error)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
            # The last three: what a handler returned can't even be encoded.
            except (DataRefused, TypeError, ValueError, AttributeError) as error:
                return await self._divide(mine, error)
        for domain_id in epochs.keys() - settled.held:
            domain = self._held.get(domain_id)
            # It may be held again by now, under a newer epoch.
            if domain is not None and domain.epoch == epochs[domain_id]:
                self._on_lost(domain_id)
        confirmed = [item for item in mine if item.domain_id in settled.held]
        for status, number in Counter(item.status for item in confirmed).items():
            self._metrics.attempts.labels(OUTCOMES[status]).inc(number)
        self._confirm(confirmed, epochs)
        self._on_raises(settled.raises)
        return settled.rows

    async def _divide(self, batch: Sequence[Settlement], error: Exception) -> int:
        if len(batch) > 1:
            middle = len(batch) // 2
            return await self._settle(batch[:middle]) + await self._settle(batch[middle:])
        item = batch[0]
        if item.outcome is UNSETTLEABLE:
            raise error
        log.say(events.OUTCOME_REFUSED, task_id=item.task_id, job_id=item.job_id, error=error)
        bare = replace(item, status=TaskState.FAILED, retry_in_ms=None, outcome=UNSETTLEABLE)
        return await self._settle([bare])

    def _confirm(self, batch: Sequence[Settlement], epochs: dict[int, int]) -> None:
        by_domain: dict[int, list[Settlement]] = {}
        for item in batch:
            by_domain.setdefault(item.domain_id, []).append(item)
        for domain_id, items in by_domain.items():
            domain = self._held.get(domain_id)
            if domain is None or domain.epoch != epochs[domain_id]:
                continue
            for item in items:
                if item.status in CLAIMABLE_AGAIN:
                    domain.put_back(item.task_id, item.job_id)
                else:
                    domain.unsettled.pop(item.task_id, None)
            self._on_settled(domain, items)
