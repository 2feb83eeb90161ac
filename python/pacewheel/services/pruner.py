"""Pruner: removes what is older than it is to be kept, in small pieces, now and then.

Every process has one; one at a time does it. The turn is a row: taken when a run is due, kept by
renewing it, and given up by silence, so a process that is killed holds nobody up for longer than a
minute. Nothing rests on it: each statement locks what it removes, and two runs at once do no harm.

Keeps nothing in memory. A piece is a transaction, and nothing is ever half there: a job and its
row in `pruned_jobs` change places in one transaction, so it is whole, or gone and known to be gone;
what it left is cleared from there, by whoever prunes next if this process is killed.

Claims are never held up: they touch nothing that is old. A partition is dropped under locks that a
settle needs too, so they are asked for with a timeout of milliseconds, again and again.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.clock import monotonic_ms
from pacewheel.errors import DataRefused, StoreError, StoreUnavailable
from pacewheel.logs import Logger
from pacewheel.retention import Pruned
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from pacewheel.metrics import Metrics
    from pacewheel.retention import Keep, RetentionStore

log = Logger("pruner")

FIRST_S = 30.0
TURN_MS = 60_000
PAUSE_S = 0.1
# A settle waits for its locks so long at most, a few times a day.
LOCK_MS = 50
LOCK_TRIES = 20
LOCK_PAUSE_S = 1.0
JOBS_MAX = 500
DOMAINS_MAX = 100
TASKS_MAX = 2_000
ROWS_MAX = 2_000


class TurnLost(Exception):
    """Somebody else prunes by now."""


class Run:
    """One run over everything that is old; `keep_turn` is called between its pieces."""

    def __init__(
        self,
        store: RetentionStore,
        keep: Keep,
        *,
        keep_turn: Callable[[], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._keep = keep
        self._keep_turn = keep_turn
        self._sleep = sleep
        self.pruned = Pruned()

    async def run(self) -> None:
        """Remove what is old; jobs first, and what they have left."""
        keep = self._keep
        if keep.jobs_ms is not None:
            await self._prune_jobs()
        await self._clear()
        if keep.results_ms is not None:
            await self._drop_results(keep.results_ms)
            await self._by_batches("results", self._store.prune_results, keep.results_ms)
        if keep.domains_ms is not None:
            await self._prune_domains(keep.domains_ms)
            await self._by_batches("pruned_jobs", self._store.forget_pruned, keep.domains_ms)
        if keep.workers_ms is not None:
            await self._by_batches("workers", self._store.prune_workers, keep.workers_ms)

    async def _pause(self) -> None:
        await self._sleep(PAUSE_S * random.uniform(0.5, 1.5))
        await self._keep_turn()

    async def _prune_jobs(self) -> None:
        after: tuple[datetime, int] | None = None
        while True:
            batch = await self._store.prune_jobs(self._keep, after, JOBS_MAX)
            self.pruned.count(jobs=batch.jobs)
            if batch.after is None:
                return
            after = batch.after
            await self._pause()

    async def _clear(self) -> None:
        """Remove what pruned jobs have left, of earlier runs too."""
        while jobs := await self._store.find_uncleared(JOBS_MAX):
            for job_id, domain_id in jobs:
                await self._clear_job(job_id, domain_id)
                await self._keep_turn()
            await self._pause()

    async def _clear_job(self, job_id: int, domain_id: int) -> None:
        while (batch := await self._store.clear_tasks(job_id, TASKS_MAX)).seen:
            self.pruned.count(tasks=batch.cleared)
            if batch.seen < TASKS_MAX or batch.tasks_left <= 0:
                break
            await self._pause()
        while any((rows := await self._store.clear_texts(job_id, domain_id, ROWS_MAX)).values()):
            self.pruned.count(**rows)
            await self._pause()
        await self._store.mark_cleared(job_id)

    async def _drop_results(self, age_ms: int) -> None:
        tries = 0
        while tries < LOCK_TRIES:
            name, is_busy = await self._store.drop_results(age_ms, LOCK_MS)
            if is_busy:
                tries += 1
                await self._sleep(LOCK_PAUSE_S * random.uniform(0.5, 1.5))
            elif name is None:
                return
            else:
                tries = 0
                self.pruned.partitions.append(name)
                log.say(events.RESULTS_DROPPED, partition=name)
            await self._keep_turn()
        self.pruned.is_whole = False
        log.say(events.RESULTS_BUSY)

    async def _by_batches(
        self, table: str, prune: Callable[[int, int], Awaitable[int]], age_ms: int
    ) -> None:
        while (number := await prune(age_ms, ROWS_MAX)) > 0:
            self.pruned.count(**{table: number})
            if number < ROWS_MAX:
                return
            await self._pause()

    async def _prune_domains(self, age_ms: int) -> None:
        after: int | None = 0
        while after is not None:
            try:
                after, number = await self._store.prune_domains(age_ms, after, DOMAINS_MAX)
            except DataRefused:
                # A job of one of them was created in this moment: the next run sees it.
                return
            self.pruned.count(domains=number)
            if after is not None:
                await self._pause()


async def prune(
    store: RetentionStore,
    keep: Keep,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Pruned:
    """Remove what is old now, whoever else does; return what that was."""

    async def nobody_asks() -> None:
        return

    run = Run(store, keep, keep_turn=nobody_asks, sleep=sleep)
    await run.run()
    return run.pruned


class Pruner(Service):
    """Prunes when it is due and nobody else does."""

    def __init__(
        self,
        *,
        store: RetentionStore,
        metrics: Metrics,
        worker_id: Callable[[], int | None],
        keep: Keep,
        interval_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        self._store = store
        self._metrics = metrics
        self._worker_id = worker_id
        self._keep = keep
        self._interval_s = interval_s
        self._sleep = sleep
        self._renewed_ms = 0.0

    async def _loop(self) -> None:
        # Soon at first: a process that only warms one site lives for minutes.
        await self._sleep(min(FIRST_S, self._interval_s) * random.uniform(0.5, 1.5))
        while True:
            try:
                await self.run_once()
            except StoreUnavailable:
                raise
            except StoreError as error:
                # What is old can wait for a right that is missing; the work can't.
                log.say(events.PRUNE_FAILED, error=error)
            await self._sleep(self._interval_s * random.uniform(0.5, 1.5))

    async def run_once(self) -> Pruned:
        """Do one run if it is due and this process's turn; return what was removed."""
        worker_id, every_ms = self._worker_id(), round(self._interval_s * 1000)
        if worker_id is None or not await self._store.take_turn(worker_id, TURN_MS, every_ms):
            return Pruned()
        began_ms = self._renewed_ms = monotonic_ms()

        async def keep_turn() -> None:
            if monotonic_ms() - self._renewed_ms > TURN_MS / 3:
                if not await self._store.take_turn(worker_id, TURN_MS):
                    raise TurnLost
                self._renewed_ms = monotonic_ms()

        run = Run(self._store, self._keep, keep_turn=keep_turn, sleep=self._sleep)
        try:
            await run.run()
            await self._store.end_turn(worker_id, every_ms)
            self._metrics.prune_ended.set_to_current_time()
        except TurnLost:
            pass
        finally:
            self._publish(run.pruned, monotonic_ms() - began_ms)
        return run.pruned

    def _publish(self, pruned: Pruned, took_ms: float) -> None:
        self._metrics.partitions_dropped.inc(len(pruned.partitions))
        for table, number in pruned.rows.items():
            self._metrics.rows_pruned.labels(table).inc(number)
        if not pruned.is_nothing:
            log.say(
                events.PRUNED,
                rows=pruned.rows,
                partitions=pruned.partitions,
                duration_s=took_ms / 1000,
            )
