"""Propagator: carries raises of priorities from the outbox to the tasks, merged and in batches.

Owns the debounce buffer of the domains held here. A raise stands in the outbox, `priority_updates`,
from the transaction that asked for it until the statement that wrote it; the buffer is a copy that
knows when to write, loaded from there at a lease, at a bell and by every sweep. So a killed process
loses none, and as priorities only rise, writing one twice does no harm: at least once is enough.

Hot raises go within a turn of the event loop, warm and cold ones when they have waited as long as
their tier allows, with company. Nobody waits for it: a settle only puts its raises here. What
doesn't fit is written through at once; what doesn't even fit there is loaded again. While the
database is away the whole flusher pauses, and what it took is put back.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel._core import BufferFull, DebounceBuffer
from pacewheel.clock import monotonic_ms
from pacewheel.errors import StoreUnavailable
from pacewheel.logs import Logger
from pacewheel.ports import Raises
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pacewheel.metrics import Metrics
    from pacewheel.ports import RaiseStore

log = Logger("propagator")

HOT_FROM = 0.8
WARM_FROM = 0.4
TIERS = ("hot", "warm", "cold")
CAUSES = {
    DebounceBuffer.MANDATORY: "mandatory",
    DebounceBuffer.SOFT: "soft",
    DebounceBuffer.DRAIN: "drain",
}
HARD = "hard"
FLUSH_ROWS_MAX = 1000
# What a write-through may hold back for its one statement.
OVERFLOW_ROWS_MAX = 5000
# Of bells that ring one after another the first is answered at once, the others together.
LOAD_PAUSE_S = 5.0
FROM_THE_START = (0, -(2**63))
PAUSE_S = 0.2
PAUSE_MAX_S = 5.0
# Loops round timers down to whole milliseconds.
ROUNDING_MS = 1


class Propagator(Service):
    """Buffers raises of the held domains and writes them when their tier says so."""

    def __init__(
        self,
        *,
        store: RaiseStore,
        mark_due: Callable[[int], None],
        metrics: Metrics,
        entries_max: int,
        warm_ms: int,
        cold_ms: int,
        now_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        super().__init__()
        self._store = store
        self._mark_due = mark_due
        self._metrics = metrics
        self._now_ms = now_ms
        self._buffer = DebounceBuffer(
            capacity=entries_max,
            soft_mark=max(1, entries_max // 2),
            hot=(HOT_FROM, 0, 0),
            warm=(WARM_FROM, warm_ms // 2, warm_ms),
            cold=(cold_ms // 2, cold_ms),
        )
        self._counted = self._buffer.stats()
        self._overflow = Raises()
        self._to_load: set[int] = set()
        self._load_at_ms = float("-inf")
        self._dropped: set[int] = set()
        self._is_prune_due = False
        self._is_draining = False
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, raises: Raises) -> None:
        """Take in what a settle of this process has put into the outbox."""
        self._metrics.raise_outcomes.labels("suppressed_database").inc(raises.suppressed)
        if not raises:
            return
        if not self._take_in(raises):
            if len(self._overflow) + len(raises) > OVERFLOW_ROWS_MAX:
                self._to_load.update(raises.domain_ids)
            else:
                self._overflow.extend(raises)
        self._empty.clear()
        self._wake.set()

    def load(self, domain_ids: Iterable[int]) -> None:
        """Look into the outbox of these domains, soon."""
        self._to_load.update(domain_ids)
        self._wake.set()

    def look_at_all(self, domain_ids: Iterable[int]) -> None:
        """Look into the outbox for bells that were not heard, and for raises that nobody wants."""
        self._is_prune_due = True
        self.load(domain_ids)

    def forget(self, domain_id: int) -> None:
        """Drop the raises of a domain that is held no longer: its next owner loads the outbox.

        A process that stops writes them all the same.
        """
        self._to_load.discard(domain_id)
        if not self._is_draining:
            self._dropped.add(domain_id)

    def forget_job(self, job_id: int) -> None:
        """Drop the raises of a job that was cancelled; its rows in the outbox are gone already."""
        self._buffer.discard_job(job_id)

    def hurry(self) -> None:
        """Write everything at once from now on: the process is about to stop."""
        self._is_draining = True
        self._buffer.drain()
        self._wake.set()

    async def drain(self, grace_s: float) -> int:
        """Wait until all is written, for so long at most; return how many are left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._empty.wait()
        left = len(self._buffer) + len(self._overflow)
        if left:
            log.say(events.RAISES_LEFT, raises=left)
        return left

    async def _loop(self) -> None:
        pause_s = PAUSE_S
        while True:
            await self._until_due()
            try:
                await self.run_once()
                pause_s = PAUSE_S
            except StoreUnavailable as error:
                log.say(events.SERVICE_WAITING, service=self.name, error=error)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
                pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _until_due(self) -> None:
        wait_ms = self._due_in_ms()
        timeout_s = None if wait_ms is None else (wait_ms + ROUNDING_MS) / 1000
        if wait_ms is None or wait_ms > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()

    def _due_in_ms(self) -> float | None:
        """Return how long there is nothing to do, None until somebody says so."""
        times_ms: list[float] = []
        deadline_ms = self._buffer.next_deadline()
        if deadline_ms is not None:
            times_ms.append(deadline_ms)
        if self._to_load:
            times_ms.append(self._load_at_ms)
        if self._overflow or self._is_prune_due:
            return 0.0
        return max(0.0, min(times_ms) - self._now_ms()) if times_ms else None

    async def run_once(self) -> int:
        """Load what was rung for, write what is due; return how many tasks were raised."""
        self._wake.clear()
        if self._dropped:
            self._buffer.discard_domains(list(self._dropped))
            self._dropped.clear()
        try:
            written = await self._write_through()
            written += await self._load_due()
            written += await self._flush_due()
            if self._is_prune_due:
                await self._prune()
        finally:
            self._publish()
        if not len(self._buffer) and not self._overflow:
            self._empty.set()
        return written

    async def _write_through(self) -> int:
        written = 0
        while self._overflow:
            batch = self._overflow
            self._overflow = Raises()
            try:
                written += await self._write(batch, HARD)
            except BaseException:
                batch.extend(self._overflow)
                self._overflow = batch
                raise
        return written

    async def _load_due(self) -> int:
        """Read the outbox of the domains that were named, page by page."""
        if not self._to_load or self._now_ms() < self._load_at_ms:
            return 0
        domain_ids = sorted(self._to_load)
        self._to_load.clear()
        self._load_at_ms = self._now_ms() + LOAD_PAUSE_S * 1000
        written, after = 0, FROM_THE_START
        try:
            while True:
                page = await self._store.load_raises(domain_ids, after, FLUSH_ROWS_MAX)
                if page and not self._take_in(page):
                    written += await self._write(page, HARD)
                if len(page) < FLUSH_ROWS_MAX:
                    return written
                after = (page.domain_ids[-1], page.task_ids[-1])
        except BaseException:
            self._to_load.update(domain_ids)
            raise

    async def _flush_due(self) -> int:
        written = 0
        while due := self._buffer.take_due(int(self._now_ms()), FLUSH_ROWS_MAX):
            batch, cause, domain_ids, task_ids, job_ids, priorities, oldest_ms = due
            raises = Raises(domain_ids, task_ids, job_ids, priorities)
            try:
                written += await self._write(raises, CAUSES[cause])
            except BaseException:
                self._buffer.restore(batch)
                raise
            self._buffer.confirm(batch)
            for tier, age_ms in zip(TIERS, oldest_ms, strict=True):
                if age_ms is not None:
                    self._metrics.raise_age_seconds.labels(tier).observe(age_ms / 1000)
        return written

    async def _write(self, raises: Raises, cause: str) -> int:
        answer = await self._store.raise_priorities(raises)
        outcomes = self._metrics.raise_outcomes
        outcomes.labels("written").inc(answer.written)
        outcomes.labels("suppressed_database").inc(answer.suppressed)
        outcomes.labels("running").inc(answer.running)
        self._metrics.raise_flushes.labels(cause).inc()
        for domain_id in answer.domain_ids:
            self._mark_due(domain_id)
        return answer.written

    async def _prune(self) -> None:
        while await self._store.prune_raises(FLUSH_ROWS_MAX) == FLUSH_ROWS_MAX:
            pass
        self._is_prune_due = False

    def _take_in(self, raises: Raises) -> bool:
        """Put raises into the buffer; False if they don't fit."""
        try:
            self._buffer.raise_many(
                int(self._now_ms()),
                raises.domain_ids,
                raises.task_ids,
                raises.job_ids,
                raises.priorities,
            )
        except BufferFull:
            return False
        return True

    def _publish(self) -> None:
        """Count what the buffer has counted since the last time."""
        stats, before = self._buffer.stats(), self._counted
        self._counted = stats
        for tier in TIERS:
            self._metrics.raises.labels(tier).inc(
                stats[f"raised_{tier}"] - before[f"raised_{tier}"]
            )
            self._metrics.raise_entries.labels(tier).set(stats[f"waiting_{tier}"])
        for outcome, name in (
            ("merged", "merged"),
            ("suppressed_buffer", "suppressed"),
            ("restored", "restored"),
        ):
            self._metrics.raise_outcomes.labels(outcome).inc(stats[name] - before[name])
