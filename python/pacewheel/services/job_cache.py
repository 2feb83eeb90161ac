"""JobInfoCache: what the engine must know of jobs, asked of the database once, whoever asks.

Owns the loads under way and who waits for them. Which load is wanted, and how long its answer
counts, is decided by the flight table in Rust (`FlightCache`); what a lost cache knew is asked
again with `get_job_facts`.

Ground rules. A load is a task of the cache's own: whoever asked may be cancelled, time out or die,
the load goes on, bounded by its timeout, and the others get its answer. Each waits on a future of
its own, and for each a failure is an exception of its own (one shared instance would grow with
every traceback). Waiters are woken by the load's done callback: it runs whatever became of the
task, even if that was cancelled before its first step.

What is known may be out of date until a hint invalidates it, and, when the hint is lost, until its
time has passed. That a job is final stays true for ever. That a job does not exist is believed for
a second, but nothing is refused for it: another process may have created it meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from pacewheel import events
from pacewheel._core import FlightCache
from pacewheel.clock import monotonic_ms
from pacewheel.errors import JobFinal, JobUnknown, LoadFailed
from pacewheel.logs import Logger
from pacewheel.model import JobFacts
from pacewheel.ports import InvalidationReason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from pacewheel.metrics import Metrics

log = Logger("job_cache")

# More than the tasks that one process may run, so a single claim never asks for more.
JOBS_MAX = 16_384
TTL_S = 30.0
STALE_S = 30.0
ABSENT_TTL_S = 1.0
RETRY_S = 1.0
LOAD_TIMEOUT_S = 10.0
JITTER_PER_MILLE = 100

# The flights that the current task loads, or that those who started it load.
_loading: ContextVar[frozenset[tuple[JobInfoCache, int]]] = ContextVar(
    "pacewheel_loading", default=frozenset()
)


class JobInfoCache:
    """A single-flight cache of `JobFacts` by job id; None means that there is no such job.

    `load` returns the facts of those of the jobs that exist. All limits are the constants above;
    tests give others.
    """

    def __init__(
        self,
        *,
        load: Callable[[Sequence[int]], Awaitable[Mapping[int, JobFacts]]],
        metrics: Metrics,
        now_ms: Callable[[], float] = monotonic_ms,
        jobs_max: int = JOBS_MAX,
        ttl_s: float = TTL_S,
        stale_s: float = STALE_S,
        absent_ttl_s: float = ABSENT_TTL_S,
        load_timeout_s: float = LOAD_TIMEOUT_S,
    ) -> None:
        self._load = load
        self._metrics = metrics
        self._now_ms = now_ms
        self._load_timeout_s = load_timeout_s
        self._table: FlightCache[JobFacts] = FlightCache(
            capacity=jobs_max,
            flights_max=jobs_max,
            ttl_ms=round(ttl_s * 1000),
            stale_ms=round(stale_s * 1000),
            absent_ttl_ms=round(absent_ttl_s * 1000),
            retry_ms=round(RETRY_S * 1000),
        )
        metrics.job_cache.read = self._table.stats
        for reason in InvalidationReason:
            metrics.job_cache_invalidations.labels(reason)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loads: set[asyncio.Task[Mapping[int, JobFacts]]] = set()
        self._waiters: dict[int, list[asyncio.Future[JobFacts | None]]] = {}
        """By flight; a flight that nobody waits for (a renewal) has no entry."""

    def peek(self, job_id: int) -> JobFacts | None:
        """Return the job's facts if they are known now."""
        return self._table.peek(job_id, int(self._now_ms()), None)

    def peek_many(self, job_ids: Iterable[int]) -> dict[int, JobFacts]:
        """Return the facts of those that are known now; the others are for `get_many`."""
        peek, now_ms = self._table.peek, int(self._now_ms())
        known = {
            job_id: facts for job_id in job_ids if (facts := peek(job_id, now_ms, None)) is not None
        }
        self._metrics.hot_jobs.count_hits(known)
        return known

    async def get(self, job_id: int) -> JobFacts | None:
        """Return what is known of the job, loaded if need be; None: there is no such job.

        Raises:
            LoadFailed: it could not be loaded.
        """
        return (await self.get_many((job_id,))).get(job_id)

    async def get_many(self, job_ids: Iterable[int]) -> dict[int, JobFacts]:
        """Return the facts of those that exist; all that are missing are loaded by one query.

        Raises:
            LoadFailed: one of them could not be loaded.
        """
        loop = self._bind()
        now_ms = int(self._now_ms())
        known: dict[int, JobFacts] = {}
        waiting: list[tuple[int, asyncio.Future[JobFacts | None]]] = []
        led: dict[int, int] = {}
        try:
            for job_id in job_ids:
                found, facts, flight = self._table.lookup(job_id, now_ms)
                if found in {FlightCache.LEAD, FlightCache.STALE} and flight:
                    led[flight] = job_id
                if found in {FlightCache.LEAD, FlightCache.JOIN}:
                    self._refuse_own(flight, job_id)
                    waiter: asyncio.Future[JobFacts | None] = loop.create_future()
                    self._waiters.setdefault(flight, []).append(waiter)
                    waiting.append((job_id, waiter))
                elif found == FlightCache.FULL:
                    raise LoadFailed(
                        f"job {job_id} was not loaded, as too many others are: ask again later"
                    )
                elif facts is not None:
                    known[job_id] = facts
            waited_for = [job_id for job_id, _ in waiting]
            self._metrics.hot_jobs.count_hits(known)
            self._metrics.hot_jobs.count_misses(waited_for)
        finally:
            # Also when one was refused: whoever leads a flight has to fly it.
            if led:
                self._start(loop, led)
        for job_id, waiter in waiting:
            facts = await waiter
            if facts is not None:
                known[job_id] = facts
        return known

    def invalidate(self, job_id: int, reason: InvalidationReason) -> None:
        """Forget the job; a load of it that is under way is not stored."""
        if self._table.invalidate(job_id):
            self._metrics.job_cache_invalidations.labels(reason).inc()

    def invalidate_all(self, reason: InvalidationReason) -> None:
        """Forget every job."""
        self._table.invalidate_all()
        self._metrics.job_cache_invalidations.labels(reason).inc()

    def refuse_final(self, job_id: int) -> None:
        """Raise if it is known, without asking, that the job takes no more tasks.

        Raises:
            JobFinal: so it is, and for ever. One that was unknown may exist by now.
        """
        facts = self.peek(job_id)
        if facts is not None and facts.status.is_final:
            raise JobFinal.of(job_id, facts.status.name)

    async def refuse(self, job_id: int) -> NoReturn:
        """Raise what the database's refusal of tasks for this job means, and know it from now on.

        Raises:
            JobFinal, JobUnknown: always one of them.
        """
        self.invalidate(job_id, InvalidationReason.ENDED)
        # Not what the table holds afterwards: a hint of the same end may have emptied it.
        facts = await self.get(job_id)
        if facts is None:
            raise JobUnknown.of(job_id)
        if facts.status.is_final:
            raise JobFinal.of(job_id, facts.status.name)
        raise JobUnknown(f"job {job_id} was created a moment ago: enqueue again")

    async def close(self) -> None:
        """End all loads and forget everything; another event loop may use the cache then."""
        loads = list(self._loads)
        for load in loads:
            load.cancel()
        if loads:
            await asyncio.wait(loads)
        self._table.invalidate_all()
        self._loop = None

    def _bind(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise RuntimeError("the cache of jobs belongs to another event loop: close it first")
        return loop

    def _refuse_own(self, flight: int, job_id: int) -> None:
        if (self, flight) in _loading.get():
            raise RuntimeError(
                f"the load of job {job_id} asks for the job itself: it would wait for ever"
            )

    def _start(self, loop: asyncio.AbstractEventLoop, flights: dict[int, int]) -> None:
        load = loop.create_task(self._fly(flights), name="pacewheel job load")
        self._loads.add(load)
        load.add_done_callback(partial(self._land, flights, self._now_ms()))

    async def _fly(self, flights: Mapping[int, int]) -> Mapping[int, JobFacts]:
        _loading.set(_loading.get() | {(self, flight) for flight in flights})
        async with asyncio.timeout(self._load_timeout_s):
            return await self._load(sorted(flights.values()))

    def _land(
        self,
        flights: Mapping[int, int],
        began_ms: float,
        load: asyncio.Task[Mapping[int, JobFacts]],
    ) -> None:
        """End the flights of a load, however it ended, and wake all who wait for them."""
        self._loads.discard(load)
        now_ms = self._now_ms()
        self._metrics.job_cache_load_seconds.observe((now_ms - began_ms) / 1000)
        failure = asyncio.CancelledError() if load.cancelled() else load.exception()
        if failure is not None:
            log.say(events.JOB_LOAD_FAILED, job_ids=list(flights.values()), traceback=failure)
        for flight, job_id in flights.items():
            waiters = [waiter for waiter in self._waiters.pop(flight, ()) if not waiter.done()]
            if failure is not None:
                self._table.fail(flight, int(now_ms), isinstance(failure, TimeoutError))
                for waiter in waiters:
                    _fail(waiter, job_id, failure)
                continue
            facts = load.result().get(job_id)
            for waiter in waiters:
                waiter.set_result(facts)
            jitter = random.randint(-JITTER_PER_MILLE, JITTER_PER_MILLE)
            if facts is None:
                self._table.finish_absent(flight, int(now_ms), jitter)
            else:
                self._table.finish(flight, facts, int(now_ms), jitter)


def _fail(waiter: asyncio.Future[JobFacts | None], job_id: int, cause: BaseException) -> None:
    failed = LoadFailed(
        f"job {job_id} could not be loaded ({type(cause).__name__}: {cause}): ask again"
    )
    failed.__cause__ = cause
    waiter.set_exception(failed)
    # Seen: who waited for several jobs hears of the first failure only.
    waiter.exception()
