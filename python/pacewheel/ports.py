"""What the services need of the database: narrow protocols and the values that cross them.

The services know only these; `pacewheel.store` implements them on PostgreSQL. Times cross as
remaining milliseconds, counted by the database at the moment of its answer, never as instants: no
two machines' clocks are compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pacewheel.counters import COUNTERS
from pacewheel.departure import Departure
from pacewheel.model import Enqueued, JobFacts, JobState, NewTask, Outcome, TaskState
from pacewheel.pacing import Lesson, Pace
from pacewheel.recurrence import Firing


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How the work is shared.

    Live workers and expired ones; domains with live tasks; domains that other workers lack to an
    equal share, and how many workers, of those with more than that, are to give one before this
    one.
    """

    alive: int
    expired: int
    active: int
    missing: int
    ahead: int


@dataclass(frozen=True, slots=True)
class LeasedDomain:
    """A domain just leased; `in_flight` is what a dead owner left running, `pace` what it learned."""

    id: int
    name: str
    epoch: int
    in_flight: Sequence[int]
    wake_in_ms: float | None
    pace: Pace


@dataclass(frozen=True, slots=True)
class LostTask:
    """A pending task that a dead owner had in flight; `attempt` was used up before it."""

    domain_id: int
    id: int
    job_id: int
    attempt: int
    handler: str


ClaimedTask = tuple[int, int, float, int, str, dict[str, Any] | None, int]
"""One task claimed: id, job id, priority, attempts used before, target, payload, its job's poke.

A tuple, for there are thousands a second.
"""

Cursor = tuple[int, float, int]
"""Where reading a job goes on: its poke at the last claim, priority and id of the last task claimed."""


@dataclass(frozen=True, slots=True)
class DomainClaim:
    """What a claim says of one domain: its tasks, best first, or why none and when to ask again.

    `limited`: a job of it ran as many tasks as it may already; `filled`: one does now. Beside the
    tasks: how long each was claimable, whether a pause of its job is why (None: of none), and, when
    jobs share the domain, each one's tag and stride, and the weights of all that compete, summed.
    """

    domain_id: int
    gap_ms: int
    blocked_in_ms: float | None
    slot_in_ms: float
    limited: bool
    filled: bool
    wake_in_ms: float | None
    waits_ms: Sequence[int]
    tags: Sequence[float] | None
    strides: Sequence[float] | None
    competing: float | None
    paused: Sequence[bool] | None
    tasks: list[ClaimedTask]


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """One claim over several domains.

    `unsettled` are, of each domain, the ids of all its tasks that the caller has not settled;
    `running` counts the tasks whose handler runs, by job, `cursors` says where each job is read on,
    and `ahead` how far a job is ahead of its share. `least_gaps_ms` are the gaps that only the
    owner knows of, by the position of their domain.
    """

    domain_ids: list[int]
    epochs: list[int]
    unsettled: Sequence[Collection[int]]
    running: Mapping[int, int]
    cursors: Mapping[int, Cursor]
    ahead: Mapping[int, float]
    tasks_max: int
    lead_ms: int
    least_gaps_ms: Sequence[int] = ()


@dataclass(slots=True)
class Settlement:
    """One attempt's end: the task's next state, what is kept of it, and what it taught of its domain."""

    domain_id: int
    task_id: int
    job_id: int
    status: TaskState
    attempt: int
    duration_ms: int
    retry_in_ms: int | None
    outcome: Outcome
    lesson: Lesson | None = None
    departure: Departure | None = None


@dataclass(slots=True)
class Raises:
    """Raises side by side, one a task; `suppressed` counts offers that came to none."""

    domain_ids: list[int] = field(default_factory=list)
    task_ids: list[int] = field(default_factory=list)
    job_ids: list[int] = field(default_factory=list)
    priorities: list[float] = field(default_factory=list)
    suppressed: int = 0

    def __len__(self) -> int:
        return len(self.task_ids)

    def extend(self, more: Raises) -> None:
        """Append others."""
        self.domain_ids += more.domain_ids
        self.task_ids += more.task_ids
        self.job_ids += more.job_ids
        self.priorities += more.priorities
        self.suppressed += more.suppressed


@dataclass(frozen=True, slots=True)
class Propagated:
    """What became of raises: written, suppressed, left in the outbox because the task is running.

    `domain_ids` are those whose next task may be another one now.
    """

    written: int
    suppressed: int
    running: int
    domain_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Settled:
    """What a settle did: domains still owned, rows changed, priorities to raise."""

    held: frozenset[int]
    rows: int
    raises: Raises


@dataclass(frozen=True, slots=True)
class Woken:
    """What waking a domain gave, when its next waiting task is ready, how long scheduled ones waited."""

    domain_id: int
    woken: int
    wake_in_ms: float | None
    scheduled_ms: Sequence[float] = ()


CountedJob = tuple[int, int, int]
"""A job to be compared: id, domain id, and its total, which says how much there is to read."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A job's counters as they are kept and as its rows say, in the order of `COUNTERS`.

    `status` is None, and `kept` empty, when there is no such job.
    """

    job_id: int
    domain_id: int
    status: JobState | None
    discovery_open: bool
    kept: tuple[int, ...]
    found: tuple[int, ...]

    @property
    def drift(self) -> dict[str, tuple[int, int]]:
        """The counters that are wrong: kept and found, by name."""
        if not self.kept:
            return {}
        pairs = zip(COUNTERS, self.kept, self.found, strict=True)
        return {name: (kept, found) for name, kept, found in pairs if kept != found}

    @property
    def live(self) -> int:
        """Live tasks by the rows."""
        return self.found[1] + self.found[2]

    @property
    def orphans(self) -> int:
        """Live tasks of a job that is final or missing."""
        return self.live if self.status is None or self.status.is_final else 0

    @property
    def is_unended(self) -> bool:
        """True for a job that should have ended, its last task being final."""
        return not (self.status is None or self.status.is_final or self.discovery_open or self.live)


class CallersConnection(Protocol):
    """What is used of an asyncpg connection that the caller brings, with a transaction open."""

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """Run a statement and return its first row."""


class InvalidationReason(StrEnum):
    """Why something known of jobs is forgotten (the closed set)."""

    CHANGED = "changed"
    CANCELLED = "cancelled"
    CREATED = "created"
    """It was not there before."""
    ENDED = "ended"
    RECONNECTED = "reconnected"
    """Hints may have been missed."""


class JobCache(Protocol):
    """What is known of jobs, loaded when it is missing."""

    def peek_many(self, job_ids: Iterable[int]) -> dict[int, JobFacts]:
        """Return the facts of those that are known without asking the database."""

    async def get_many(self, job_ids: Iterable[int]) -> dict[int, JobFacts]:
        """Return the facts of those that exist, by one query for all that are missing."""

    def invalidate(self, job_id: int, reason: InvalidationReason) -> None:
        """Forget the job."""


class LeaseStore(Protocol):
    """Leases of domains, heartbeat and take-over."""

    async def register_worker(self, capacity: int, lease_ms: int, handlers: Sequence[str]) -> int:
        """Enter this process among the workers; return its id."""

    async def heartbeat(self, worker_id: int, lease_ms: int, held: int) -> Heartbeat | None:
        """Renew the lease; None once this worker was declared dead."""

    async def declare_dead(self) -> list[int]:
        """Declare dead the workers whose lease has run out; return their ids."""

    async def drain_worker(self, worker_id: int) -> None:
        """Say that this worker takes no more domains, so that the others share its part."""

    async def retire_worker(self, worker_id: int) -> None:
        """Take this worker off at its orderly end."""

    async def lease_domains(
        self,
        worker_id: int,
        handlers: Sequence[str],
        horizon_ms: int,
        limit: int,
        passed_over: Sequence[int] = (),
    ) -> list[LeasedDomain]:
        """Find and lease domains that have work and no living owner, or are ours unawares.

        Those held already are to be passed over.
        """

    async def find_unserved(self, domain_ids: Sequence[int], handlers: Sequence[str]) -> list[int]:
        """Name domains of ours in which work waits for a handler that only others have."""

    async def release_domains(
        self,
        worker_id: int,
        domain_ids: Sequence[int],
        epochs: Sequence[int],
        slots_in_ms: Sequence[float],
    ) -> None:
        """Give domains back."""

    async def load_tasks(self, in_flight: Mapping[int, Sequence[int]]) -> list[LostTask]:
        """Read the tasks, by domain, that a dead owner left in flight."""


class TaskStore(Protocol):
    """Claim, settle, wake and enqueue."""

    async def claim_tasks(
        self, worker_id: int, handlers: Sequence[str], request: ClaimRequest
    ) -> list[DomainClaim]:
        """Claim from the caller's domains; one missing from the answer is no longer its own."""

    async def settle_tasks(
        self, worker_id: int, epochs: Mapping[int, int], batch: Sequence[Settlement]
    ) -> Settled:
        """Record a batch of attempts, all or nothing, fenced by the epochs of its domains."""

    async def wake_tasks(self, domain_ids: Sequence[int], limit: int) -> list[Woken]:
        """Make pending what has become ready in these domains, so many in each at most."""

    async def find_ended(self, tasks: Sequence[tuple[int, int]]) -> list[int]:
        """Return the ids of those tasks, by domain and id, that are live no more."""

    async def get_document(self, domain_id: int, job_id: int, name: str) -> str | None:
        """Return a text that an earlier task of the job left."""

    async def find_earlier(
        self, domain_id: int, task_id: int, job_id: int
    ) -> dict[str, Any] | None:
        """Return the detail that the task of the same key left in an earlier job of the domain."""

    async def enqueue_tasks(self, job_id: int, tasks: Sequence[NewTask]) -> Enqueued:
        """Insert tasks of one job, in one transaction; `refused` counts them when it is final."""


class RaiseStore(Protocol):
    """Priorities on their way from the outbox to the tasks."""

    async def raise_priorities(self, raises: Raises) -> Propagated:
        """Write raises to their tasks and take them out of the outbox."""

    async def load_raises(
        self, domain_ids: Sequence[int], after: tuple[int, int], limit: int
    ) -> Raises:
        """Read the outbox of these domains on behind (domain id, task id)."""

    async def prune_raises(self, limit: int) -> int:
        """Take raises of final jobs out of the outbox; return how many."""


class CounterStore(Protocol):
    """Compare counters with rows, repair them, and find what was left behind."""

    async def find_unreconciled(
        self, worker_id: int, age_ms: int, after_domain: int, limit: int
    ) -> list[CountedJob]:
        """Name the jobs that are due in the caller's domains and in those of nobody."""

    async def find_jobs(
        self, ids: Sequence[int] | None, after: int, limit: int
    ) -> list[CountedJob]:
        """Name jobs, all or those asked for, in the order of their ids."""

    async def compare_counters(self, jobs: Sequence[CountedJob], *, mark: bool) -> list[Compared]:
        """Compare these jobs; return those that are not in order."""

    async def recount_job(self, job_id: int) -> Compared | None:
        """Repair a job's counters under its lock; return what they were and are."""

    async def find_orphans(self, limit: int) -> list[tuple[int, int]]:
        """Name domain and id of jobs, final or missing, that have live tasks."""

    async def cancel_orphans(self, domain_id: int, job_id: int, limit: int) -> int:
        """Cancel live tasks of a job that is final or missing; return how many."""

    async def finish_jobs(self, job_ids: Sequence[int]) -> list[int]:
        """End those of the jobs that have nothing left to do; return which."""

    async def find_stranded(self, after: int, limit: int) -> list[tuple[int, int]]:
        """Name domains without an owner that say tasks are in flight, and how many."""

    async def clear_in_flight(self, domain_ids: Sequence[int]) -> int:
        """Say that nothing is in flight where nobody owns the domain; return how many tasks were."""


class ScheduleStore(Protocol):
    """Occurrences of schedules."""

    async def fire_due(self) -> Firing | None:
        """Fire the occurrence that has been due for longest; None when nobody else left one."""

    async def find_next_occurrence(self) -> float | None:
        """Return in how many ms the next is due, below zero if one is overdue; None without any."""
