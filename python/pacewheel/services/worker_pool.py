"""WorkerPool: runs handlers, each under its deadline, on a bounded number of coroutines.

Owns the claimed tasks from their claim to their outcome. Workers are long-lived coroutines fed from
one queue: an asyncio task a pacewheel task would cost several times as much. The bound may change
at any time; workers beyond it end when they have nothing to run. A worker that takes a
task wakes the next one first, so a burst of handlers that never wait is run by a few workers, and
handlers that do wait spread over all.

A handler is stopped (deadline, cancelled job, shutdown) by cancelling its coroutine. One that
swallows the cancellation is abandoned after a second grace: its task is settled without it, another
worker takes its place, and whatever it returns later counts for nothing. A worker that somebody
else cancels (the event loop at its end, or the handler that runs on it) ends after its task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from pacewheel import events, tracing
from pacewheel.clock import monotonic_ms
from pacewheel.errors import DomainBlocked, LeaseLost
from pacewheel.logs import ATTEMPT, Logger
from pacewheel.model import Outcome, OutcomeKind
from pacewheel.outcomes import check
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pacewheel.metrics import Metrics
    from pacewheel.model import Task
    from pacewheel.registry import Handler

log = Logger("worker_pool")

WATCH_S = 0.05
ABANDON_AFTER_MS = 2000.0
# Tasks that one worker runs before it lets the event loop breathe, if their handlers never wait.
STREAK_MAX = 64
DETAIL_CHARS_MAX = 500

TIMEOUT = "timeout"
CANCELLED = "cancelled"
SHUTDOWN = "shutdown"
LEASE_LOST = "lease_lost"
COMPLETED = Outcome.completed()
ITS_OWN_CANCELLATION = Outcome.retry(
    "cancelled", detail={"message": "the handler cancelled itself"}
)


class Running:
    """One attempt under way."""

    __slots__ = ("deadline_ms", "handler", "started_ms", "stop", "stopped_ms", "task", "worker")

    def __init__(self, task: Task, handler: Handler, worker: asyncio.Task[None]) -> None:
        self.task = task
        self.handler = handler
        self.started_ms = monotonic_ms()
        self.deadline_ms = self.started_ms + handler.timeout_s * 1000
        self.stop: str | None = None
        self.stopped_ms = 0.0
        self.worker: asyncio.Task[None] | None = worker
        """None once the worker was abandoned."""


class WorkerPool(Service):
    """At most `capacity` handlers at once."""

    def __init__(
        self,
        *,
        capacity: int,
        on_end: Callable[[Task, Handler, Outcome | None, float], None],
        on_room: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        super().__init__()
        self._metrics = metrics
        self._capacity = capacity
        self._on_end = on_end
        self._on_room = on_room
        self._queue: deque[tuple[Task, Handler]] = deque()
        self._active: set[Running] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[None]] = []
        self._is_waking = False
        """A worker was woken and has not looked yet; it wakes the next one itself."""
        self._busy_max = 0
        self._all_ended = asyncio.Event()
        self._all_ended.set()

    def free(self) -> int:
        """How many more tasks can be taken; none while many wait to start.

        Many is a quarter of the capacity. So a process whose handlers end as fast as they start
        claims by the hundred, not one by one.
        """
        if len(self._queue) > self._queue_max():
            return 0
        return self.spare()

    def spare(self) -> int:
        """How many slots are not in use; less than none while tasks claimed ahead wait for one."""
        return self._capacity - self._busy()

    def _queue_max(self) -> int:
        return self._capacity // 4

    def _busy(self) -> int:
        return len(self._queue) + len(self._active)

    def take_busy_max(self) -> int:
        """Return the most slots in use at once since the last call."""
        busy_max, self._busy_max = max(self._busy_max, self._busy()), self._busy()
        return busy_max

    def set_capacity(self, capacity: int) -> None:
        """Change the bound; what runs is not disturbed, so that a lower one is reached in time."""
        self._capacity = capacity
        for _ in range(min(len(self._idle), len(self._workers) - capacity)):
            waiter = self._idle.pop()
            if not waiter.done():
                waiter.set_result(None)

    def submit(self, task: Task, handler: Handler) -> None:
        """Queue a claimed task."""
        self._queue.append((task, handler))
        self._all_ended.clear()

    def wake(self) -> None:
        """Let a worker look at the queue; call once after a batch of submits."""
        self._busy_max = max(self._busy_max, self._busy())
        if self._is_waking or not self._queue:
            return
        while self._idle:
            waiter = self._idle.pop()
            if not waiter.done():
                waiter.set_result(None)
                self._is_waking = True
                return
        if len(self._workers) < self._capacity:
            worker = asyncio.create_task(self._work(), name="pacewheel worker")
            self._workers.add(worker)
            worker.add_done_callback(self._gone)
            self._is_waking = True

    def _gone(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        # One that was cancelled before its first step has not looked.
        self._is_waking = False

    def stop_tasks(
        self,
        reason: str,
        *,
        job_ids: Collection[int] | None = None,
        task_ids: Collection[int] | None = None,
        domain_id: int | None = None,
    ) -> int:
        """Stop the handlers of jobs, of tasks, of a domain or all, for this reason; return how many."""

        def concerned(task: Task) -> bool:
            return (
                (job_ids is None or task.job_id in job_ids)
                and (task_ids is None or task.id in task_ids)
                and (domain_id is None or task.domain_id == domain_id)
            )

        queued = [(task, handler) for task, handler in self._queue if concerned(task)]
        if queued:
            self._queue = deque(entry for entry in self._queue if not concerned(entry[0]))
        for task, handler in queued:
            self._end(task, handler, None, 0.0)
        active = [running for running in self._active if concerned(running.task)]
        for running in active:
            self._stop(running, reason)
        return len(queued) + len(active)

    def running_for(self, least_s: float) -> list[tuple[int, int]]:
        """Return domain and id of the tasks whose handlers have run so long, and go on."""
        before_ms = monotonic_ms() - least_s * 1000
        return [
            (running.task.domain_id, running.task.id)
            for running in self._active
            if running.started_ms <= before_ms and running.stop is None
        ]

    async def all_ended(self) -> None:
        """Wait until no handler runs and none is queued."""
        await self._all_ended.wait()

    async def drain(self, grace_s: float) -> int:
        """Wait for running handlers, for so long at most; stop the rest; return how many."""
        try:
            async with asyncio.timeout(grace_s):
                await self._all_ended.wait()
        except TimeoutError:
            stopped = self.stop_tasks(SHUTDOWN)
            await self._all_ended.wait()
            return stopped
        return 0

    async def stop(self) -> None:
        """Stop the watch and cancel every worker."""
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers, timeout=ABANDON_AFTER_MS / 1000)
        await super().stop()

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            self._watch(monotonic_ms())

    def _watch(self, now_ms: float) -> None:
        for running in list(self._active):
            if running.stop is None and now_ms >= running.deadline_ms:
                self._stop(running, TIMEOUT)
            elif running.stop is not None and now_ms >= running.stopped_ms + ABANDON_AFTER_MS:
                self._abandon(running)

    def _stop(self, running: Running, reason: str) -> None:
        if running.stop is None and running.worker is not None:
            running.stop = reason
            running.stopped_ms = monotonic_ms()
            running.worker.cancel()

    def _abandon(self, running: Running) -> None:
        task = running.task
        log.say(events.HANDLER_ABANDONED, handler=task.handler, task_id=task.id, job_id=task.job_id)
        if running.worker is not None:
            self._workers.discard(running.worker)
            running.worker = None
        self._metrics.handlers_abandoned.labels(running.handler.name).inc()
        self._metrics.handlers_left_running.inc()
        self._finish(running, self._stopped_outcome(running))
        self.wake()

    async def _work(self) -> None:
        me = asyncio.current_task()
        if me is None:
            raise AssertionError
        self._is_waking = False
        streak = 0
        while True:
            while not self._queue:
                streak = 0
                if len(self._workers) > self._capacity:
                    # At once, or those that end in the same turn of the loop would count as well.
                    self._workers.discard(me)
                    return
                await self._woken()
            running = Running(*self._queue.popleft(), me)
            if self._queue and not self._is_waking:
                self.wake()
            self._active.add(running)
            if len(self._queue) == self._queue_max():
                self._on_room()
            outcome = await self._observed(running)
            if running.worker is None:
                self._metrics.handlers_left_running.dec()
                return
            self._finish(running, outcome)
            if me.cancelling():
                # Not by the pool, which takes its own back.
                return
            streak += 1
            if streak >= STREAK_MAX:
                streak = 0
                await asyncio.sleep(0)

    async def _woken(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._idle.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._idle:
                self._idle.remove(waiter)
            raise
        finally:
            self._is_waking = False

    async def _observed(self, running: Running) -> Outcome | None:
        """Run the handler once, its log lines and spans marked as those of this attempt."""
        token, span = ATTEMPT.set(running.task), tracing.begin_attempt(running.task)
        outcome = await self._attempt(running)
        ATTEMPT.reset(token)
        if span is not None:
            span.end(outcome)
        return outcome

    async def _attempt(self, running: Running) -> Outcome | None:
        """Run the handler once; None means that it was interrupted and nothing is to be settled."""
        task, handler = running.task, running.handler
        outcome: Outcome | None
        try:
            if not handler.own_departure:
                await task.depart()
            outcome = self._checked(await handler.function(task), handler)
        except asyncio.CancelledError:
            outcome = ITS_OWN_CANCELLATION
        except (DomainBlocked, LeaseLost):
            outcome = None
        except Exception as error:  # noqa: BLE001 - it is the task's outcome
            log.say(events.HANDLER_RAISED, handler=task.handler, task_id=task.id, traceback=error)
            text = f"{type(error).__name__}: {error}"[:DETAIL_CHARS_MAX].replace("\0", "\\0")
            outcome = Outcome.retry("exception", detail={"message": text})
        if running.stop is None:
            return outcome
        # Whatever the handler made of it: it was stopped.
        if running.worker is not None:
            running.worker.uncancel()
            # One that ended without another await (it stopped itself) has not met its cancellation:
            # before Python 3.13 that is not taken back, and would meet what the worker runs next.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        return self._stopped_outcome(running)

    @staticmethod
    def _checked(said: object, handler: Handler) -> Outcome:
        if said is None:
            return COMPLETED
        if isinstance(said, Outcome):
            try:
                check(said)
            except (TypeError, ValueError) as error:
                return Outcome.failed("bad_outcome", detail={"message": str(error)})
            return said
        message = (
            f"handler {handler.name} returned {type(said).__name__}: return an Outcome or None"
        )
        return Outcome.failed("bad_outcome", detail={"message": message})

    @staticmethod
    def _stopped_outcome(running: Running) -> Outcome | None:
        if running.stop == TIMEOUT:
            message = f"no outcome within {running.handler.timeout_s:g} s"
            return Outcome(OutcomeKind.RETRY, TIMEOUT, detail={"message": message})
        return None

    def _finish(self, running: Running, outcome: Outcome | None) -> None:
        self._active.remove(running)
        duration_ms = monotonic_ms() - running.started_ms
        self._metrics.handler_seconds.observe(running.handler.name, duration_ms / 1000)
        self._end(running.task, running.handler, outcome, duration_ms)

    def _end(
        self, task: Task, handler: Handler, outcome: Outcome | None, duration_ms: float
    ) -> None:
        if not self._active and not self._queue:
            self._all_ended.set()
        self._on_end(task, handler, outcome, duration_ms)
