"""The domains this process owns, and the gate through which their requests leave.

Owns what only the owner may know: which tasks of a domain it has claimed and not yet settled, how
many handlers run for each job, and when the last request left. All of it is rebuilt by leasing
again; the durable part (owner, epoch, next slot, in flight) is the domain's row.

Ground rules: the leaser adds and drops domains; the dispatcher adds tasks; the settler removes
them; one event loop, so there are no locks but the gate's.
"""

from __future__ import annotations

import asyncio
from math import isfinite
from typing import TYPE_CHECKING, Any

from pacewheel.clock import lease_clock_s, monotonic_ms
from pacewheel.departure import Departure
from pacewheel.errors import DomainBlocked, LeaseLost
from pacewheel.model import WaitingReason
from pacewheel.pace_used import PaceUsed
from pacewheel.pacing import (
    ASKED,
    CALM,
    CIRCUIT_OPEN,
    LATENCY_DELAY_MAX_MS,
    RETRY_AFTER,
    Lesson,
    learn,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from pacewheel.model import Enqueued, JobFacts, NewTask
    from pacewheel.pacing import Breaker, Pace, Said
    from pacewheel.ports import Cursor, TaskStore


# A cursor saves reading, no more: those of jobs that don't run are forgotten beyond so many.
CURSORS_MAX = 64
# A claimed task waits for milliseconds, or, behind one that took long to connect, for a gap.
GATE_WAIT_MAX_MS = 10_000


class HeldDomain:
    """One owned domain; it is also the `Lease` of its tasks."""

    __slots__ = (
        "_first_slot_ms",
        "_gate",
        "_held",
        "ahead",
        "ask_anew",
        "block_reason",
        "blocked_until_ms",
        "cursors",
        "emptied",
        "epoch",
        "gap_ms",
        "id",
        "idle_since_ms",
        "last_departure_ms",
        "latency_delay_ms",
        "name",
        "pace",
        "pace_since_ms",
        "pace_used",
        "recheck",
        "releasing",
        "returned",
        "running",
        "sharing",
        "unsettled",
        "waiting_for",
        "wake_at_ms",
        "wake_told_ms",
    )

    def __init__(
        self, domain_id: int, name: str, epoch: int, held: Held, *, pace: Pace = CALM
    ) -> None:
        self._held = held
        self.id = domain_id
        self.name = name
        self.epoch = epoch
        self.gap_ms = 0
        self.last_departure_ms = float("-inf")
        self._first_slot_ms = float("-inf")
        self.blocked_until_ms = float("-inf")
        """Known here as soon as an outcome says it, before the settle has made it durable."""
        self.block_reason = CIRCUIT_OPEN if pace.is_open else None
        self.pace = CALM if pace == CALM else pace
        self.latency_delay_ms = 0
        """The gap that the last response time asks for; the row doesn't know it."""
        self.pace_since_ms = float("-inf")
        """When an answer last slowed the domain down; what began before says nothing of this pace."""
        self.pace_used = PaceUsed()
        self.unsettled: dict[int, int] = {}
        """Job id by task id: claimed here, and not settled yet."""
        self.running: dict[int, int] = {}
        """Handlers that run, by job id."""
        self.cursors: dict[int, Cursor] = {}
        """Where reading goes on, by job id; without one it starts from the top."""
        self.ahead: dict[int, float] = {}
        """By how much a job is ahead of its share of the domain; only while jobs share it."""
        self.sharing = 1
        """To how many jobs the last claim gave tasks."""
        self.waiting_for = WaitingReason.WORKER_CAPACITY
        """What held back, after the last claim, the tasks it left."""
        self.recheck = False
        """Ask for more tasks when a handler ends (the last claim met a limit)."""
        self.emptied = False
        """The last claim took all there was: once its handlers have ended, there is nothing to do."""
        self.ask_anew = False
        """Ask for tasks whatever is remembered of the next slot: somebody has set another gap."""
        self.returned = 0
        """Counts tasks given back: a claim that was under way meanwhile says nothing of where to read on."""
        self.releasing = False
        """Claim nothing more; give the domain back when it is empty."""
        self.idle_since_ms: float | None = None
        """Since when a claim has found nothing to do here, or None."""
        self.wake_at_ms: float | None = None
        """When the timer for its next waiting task is set, or None."""
        self.wake_told_ms = float("-inf")
        """When something was last said of a waiting task of it."""
        self._gate: asyncio.Lock | None = None

    @property
    def is_working(self) -> bool:
        """True while there is something to do here, as far as is known."""
        return bool(self.unsettled) or self.idle_since_ms is None

    def started(self, task_id: int, job_id: int, priority: float, poke: int) -> None:
        """Note a claimed task; they come best first."""
        self.unsettled[task_id] = job_id
        if len(self.cursors) > CURSORS_MAX:
            self.cursors = {job: at for job, at in self.cursors.items() if job in self.running}
        self.cursors[job_id] = (poke, priority, task_id)
        self.running[job_id] = self.running.get(job_id, 0) + 1
        self.idle_since_ms = None

    def share(
        self,
        job_ids: Sequence[int],
        tags: Sequence[float],
        strides: Sequence[float],
        competing: float,
    ) -> None:
        """Note what a claim gave to jobs that share the domain, each task with its tag and stride.

        Time is counted from the last tag served, so a job that had nothing to do gains no credit;
        it moves at least as fast as if the weights that compete were served all at once, so that
        jobs that are always new don't hold it still.
        """
        served = max(*tags, len(tags) / competing)
        ahead = {job_id: at - served for job_id, at in self.ahead.items()}
        for job_id, tag, stride in zip(job_ids, tags, strides, strict=True):
            ahead[job_id] = tag + stride - served
        self.ahead = {job_id: at for job_id, at in ahead.items() if at > 0}
        self.sharing = len(set(job_ids))

    def share_no_more(self) -> None:
        """Note that a claim gave to one job, and nobody competes with it."""
        self.ahead = {}
        self.sharing = 1

    def ended(self, job_id: int) -> None:
        """Note that a handler of this job ended; its task stays unsettled."""
        left = self.running[job_id] - 1
        if left:
            self.running[job_id] = left
        else:
            del self.running[job_id]

    def put_back(self, task_id: int, job_id: int) -> None:
        """Note that a claimed task was interrupted: it is to be claimed again."""
        self.unsettled.pop(task_id, None)
        self.cursors.pop(job_id, None)
        self.returned += 1

    def learn(
        self, said: Said, breaker: Breaker, *, began_ms: float, block_s: float | None
    ) -> Lesson | None:
        """Take in what an attempt says of the site; return what is to be written, if anything.

        `block_s` is the pause that it asks for. It all counts from now, not from the settle.
        """
        now_ms = monotonic_ms()
        lesson = Lesson(self.pace)
        # Eight requests that are refused together are one refusal.
        if began_ms >= self.pace_since_ms:
            lesson = learn(self.pace, said, breaker, self.gap_ms)
            if lesson.block_ms:
                self.pace_since_ms = now_ms
        block_ms, reason = lesson.block_ms, lesson.block_reason
        if block_s is not None and block_s * 1000 > block_ms:
            block_ms, reason = round(block_s * 1000), RETRY_AFTER if said.blocking else ASKED
        is_the_same = lesson.pace == self.pace
        # Taken all the same: lessons know CALM by its identity.
        self.pace = lesson.pace
        if block_ms == 0 and is_the_same:
            return None
        self.gap_ms = max(self.gap_ms, self.pace.adaptive_delay_ms)
        if self.pace.is_open:
            self.block_reason = CIRCUIT_OPEN
        elif block_ms or self.block_reason == CIRCUIT_OPEN:
            self.block_reason = reason
        if block_ms:
            self.blocked_until_ms = max(self.blocked_until_ms, now_ms + block_ms)
        return Lesson(self.pace, block_ms, self.block_reason, refused=said.blocking)

    def take_time(self, latency_delay_ms: float) -> None:
        """Keep at least this gap from now on; a shorter one than before counts from the next claim."""
        self.latency_delay_ms = round(min(latency_delay_ms, LATENCY_DELAY_MAX_MS))
        self.gap_ms = max(self.gap_ms, self.latency_delay_ms)

    def first_slot(self, at_ms: float) -> None:
        """Let nothing leave before this slot, which an owner before may have set: it was claimed ahead."""
        if self.gap_ms > 0 and self.last_departure_ms == float("-inf"):
            self._first_slot_ms = at_ms

    def slot_in_ms(self) -> float:
        """Milliseconds until the next request may leave, by this process's own clock."""
        return max(0.0, self._slot_ms() - monotonic_ms())

    def is_late(self, now_ms: float) -> bool:
        """Tell whether a slot was left to pass for longer than a gap: not the pace held it back."""
        return now_ms > self._slot_ms() + self.gap_ms > 0

    def _slot_ms(self) -> float:
        return max(self.last_departure_ms + self.gap_ms, self._first_slot_ms)

    async def depart(self) -> Departure:
        """Wait until the gap since the last departure has passed, and note this one.

        Raises:
            DomainBlocked: since the task was claimed, the domain has asked for a pause or for a gap
                that is much longer.
            LeaseLost: the lease is no longer sure when the moment has come.
        """
        if self.gap_ms == 0:
            # A gap that this very request teaches (Crawl-delay) counts from it.
            return self._leave(self._refuse_unless_free())
        if self._gate is None:
            self._gate = asyncio.Lock()
        async with self._gate:
            now_ms = self._refuse_unless_free()
            while (wait_ms := self._slot_ms() - now_ms) > 0:
                if wait_ms > GATE_WAIT_MAX_MS:
                    # The gap has become longer since the claim: wait without a slot instead.
                    raise DomainBlocked(f"{self.name} is asked less often now: nothing was sent")
                # Loops round a timer down to their own millisecond; the clock above decides.
                await asyncio.sleep((wait_ms + 0.1) / 1000)
                # Not after the loop: what blocked the domain has made the gap longer too.
                now_ms = self._refuse_unless_free()
            departure = self._leave(now_ms)
        asyncio.get_running_loop().call_soon(self._left)
        return departure

    def _left(self) -> None:
        """Count the departure from the turn of the loop after it: by then the bytes are out.

        uvloop writes to sockets at the end of a turn, which other handlers may have made a long
        one.
        """
        self.last_departure_ms = monotonic_ms()
        self._held.on_departed(self)

    async def document(self, job_id: int, name: str) -> str | None:
        """Return a text that an earlier task of the job left."""
        return await self._held.store.get_document(self.id, job_id, name)

    async def earlier(self, task_id: int, job_id: int) -> dict[str, Any] | None:
        """Return the detail that the task of the same key left in an earlier job."""
        return await self._held.store.find_earlier(self.id, task_id, job_id)

    async def job(self, job_id: int) -> JobFacts | None:
        """Return what is known of the job."""
        return await self._held.read_job(job_id)

    async def enqueue(self, job_id: int, tasks: Sequence[NewTask]) -> Enqueued:
        """Add tasks to the job."""
        return await self._held.store.enqueue_tasks(job_id, tasks)

    def _refuse_unless_free(self) -> float:
        """Return the time, unless nothing may leave now."""
        if not self._held.lease_valid() or self._held.get(self.id) is not self:
            raise LeaseLost(f"the lease of {self.name} has run out here: the request was not sent")
        now_ms = monotonic_ms()
        if self.blocked_until_ms > now_ms:
            raise DomainBlocked(f"{self.name} has asked for a pause: the request was not sent")
        return now_ms

    def _leave(self, now_ms: float) -> Departure:
        """Note a departure."""
        before_ms, self.last_departure_ms = self.last_departure_ms, now_ms
        apart_ms = now_ms - before_ms
        self.pace_used.departed(now_ms, self.gap_ms)
        return Departure(now_ms, apart_ms if isfinite(apart_ms) else None, self.gap_ms)


class Held:
    """All domains of this process, and the process's lease.

    `read_job` is the cache's; `on_departed` is called after each departure of a domain with a gap.
    """

    def __init__(
        self,
        *,
        store: TaskStore,
        read_job: Callable[[int], Awaitable[JobFacts | None]],
        on_departed: Callable[[HeldDomain], None],
    ) -> None:
        self.store = store
        self.read_job = read_job
        self.on_departed = on_departed
        self.worker_id: int | None = None
        self._domains: dict[int, HeldDomain] = {}
        self._valid_until_s = float("-inf")

    def __len__(self) -> int:
        return len(self._domains)

    def __iter__(self) -> Iterator[HeldDomain]:
        return iter(self._domains.values())

    def get(self, domain_id: int) -> HeldDomain | None:
        """Return the domain if this process holds it."""
        return self._domains.get(domain_id)

    def add(self, domain: HeldDomain) -> None:
        """Hold a domain just leased."""
        self._domains[domain.id] = domain

    def drop(self, domain_id: int) -> HeldDomain | None:
        """Hold a domain no longer."""
        return self._domains.pop(domain_id, None)

    def drop_all(self) -> Sequence[HeldDomain]:
        """Hold nothing any more; return what was held."""
        dropped = list(self._domains.values())
        self._domains.clear()
        self._valid_until_s = float("-inf")
        return dropped

    def extend_lease(self, valid_until_s: float) -> None:
        """Trust the lease until this reading of the lease clock."""
        self._valid_until_s = valid_until_s

    def lease_valid(self) -> bool:
        """True while this process is sure to be the owner of what it holds."""
        return lease_clock_s() < self._valid_until_s

    def unsettled(self) -> int:
        """How many tasks are claimed and not settled."""
        return sum(len(domain.unsettled) for domain in self._domains.values())
