"""The nouns that users and services share: jobs, tasks, outcomes and their states.

Data only. The numbers of `TaskState` and `JobState` are the ones in the tables; sql/queries uses
them as literals, so a change here is a migration. A `Task` reaches its domain through the `Lease`
that the engine hands it; it does no I/O of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from pacewheel.departure import Departure


class TaskState(IntEnum):
    """A task's state; one that runs is PENDING in its row and noted in its domain's row."""

    PENDING = 0
    WAITING = 1
    RUNNING = 2
    COMPLETED = 3
    FAILED = 4
    SKIPPED = 5
    CANCELLED = 6


class JobState(IntEnum):
    """A job's state; COMPLETED, FAILED and CANCELLED are final."""

    PENDING = 0
    RUNNING = 1
    PAUSED = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def is_final(self) -> bool:
        """True when the job takes no more tasks and changes no more."""
        return self >= JobState.COMPLETED


class WaitingReason(StrEnum):
    """Why a live task is not running (the closed set)."""

    DOMAIN_DELAY = "domain_delay"
    CONCURRENCY_LIMIT = "concurrency_limit"
    WORKER_CAPACITY = "worker_capacity"
    RETRY_BACKOFF = "retry_backoff"
    SCHEDULED = "scheduled"
    DOMAIN_BLOCKED = "domain_blocked"
    JOB_PAUSED = "job_paused"


class OutcomeKind(StrEnum):
    """What a handler may say of a task."""

    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    RETRY = "retry"


@dataclass(slots=True)
class NewTask:
    """A task to be enqueued; not to be changed (frozen would take 1 us more a link of a page).

    `key` is what makes it unique in its job (default: the target). `ready_in_s` delays it.
    `priority`: higher is claimed first. With `beyond_limit` it takes no place of the job's
    `max_tasks`, which grows with it.
    """

    target: str
    key: str | None = None
    priority: float = 0.0
    payload: dict[str, Any] | None = None
    ready_in_s: float | None = None
    beyond_limit: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of one attempt; built by the classmethods, committed as a whole or not at all.

    `error` is a short class word (`timeout`, `http_5xx`). `retry_in_s` overrides the handler's
    backoff. `discovered` tasks join the task's job in the same transaction; one that is known and
    now has a higher priority is raised. `raises` does the same for tasks of the job by key.
    `documents` are small texts kept for the job's later tasks, `links` the keys of tasks that this
    one refers to, in lists by name, kept for reports. `robots_delay_ms` sets the domain's
    Crawl-delay; `block_domain_s` lets nothing of the domain start before (Retry-After).
    `latency_delay_ms` is the least gap the domain's owner keeps until another outcome says
    otherwise (None says nothing): what the response time asks for.
    """

    kind: OutcomeKind = OutcomeKind.COMPLETED
    error: str | None = None
    retry_in_s: float | None = None
    http_status: int | None = None
    bytes: int | None = None
    cache: str | None = None
    detail: dict[str, Any] | None = None
    discovered: Sequence[NewTask] = ()
    raises: Mapping[str, float] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, Sequence[str]] = field(default_factory=dict)
    robots_delay_ms: int | None = None
    block_domain_s: float | None = None
    latency_delay_ms: float | None = None

    @classmethod
    def completed(cls, **values: Any) -> Outcome:
        """The task did what it should."""
        return cls(OutcomeKind.COMPLETED, **values)

    @classmethod
    def failed(cls, error: str, **values: Any) -> Outcome:
        """The task can't succeed; it is not tried again."""
        return cls(OutcomeKind.FAILED, error, **values)

    @classmethod
    def skipped(cls, error: str, **values: Any) -> Outcome:
        """The task is not to be done, for the reason `error`."""
        return cls(OutcomeKind.SKIPPED, error, **values)

    @classmethod
    def retry(cls, error: str, retry_in_s: float | None = None, **values: Any) -> Outcome:
        """The attempt failed; try again later, as long as the handler's attempts last."""
        return cls(OutcomeKind.RETRY, error, retry_in_s, **values)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What a process must know of a job to take, run and refuse its tasks.

    From the cache: `status` may be seconds old, unless it is final, for that never changes.
    """

    id: int
    domain_id: int
    handler: str
    status: JobState
    concurrency: int
    max_tasks: int | None
    options: dict[str, Any] = field(repr=False)


class Lease(Protocol):
    """What a task needs of its domain's lease."""

    async def depart(self) -> Departure | None:
        """Return when a request may leave."""

    async def document(self, job_id: int, name: str) -> str | None:
        """Return a text that an earlier task of the job left."""

    async def earlier(self, task_id: int, job_id: int) -> dict[str, Any] | None:
        """Return the detail that the task of the same key left in an earlier job."""

    async def job(self, job_id: int) -> JobFacts | None:
        """Return what is known of the job."""

    async def enqueue(self, job_id: int, tasks: Sequence[NewTask]) -> Enqueued:
        """Add tasks to the job."""


@dataclass(slots=True)
class Task:
    """One claimed task as its handler sees it.

    `attempt` counts from 1. `target` is what to work on, as it was enqueued. Without a `lease` (a
    test of a handler, say) it departs at once and finds neither documents nor job.
    """

    id: int
    job_id: int
    domain_id: int
    domain: str
    handler: str
    target: str
    priority: float
    attempt: int
    payload: dict[str, Any] | None
    options: Mapping[str, Any] = field(repr=False)
    lease: Lease | None = field(default=None, repr=False)
    departed: bool = False
    departure: Departure | None = field(default=None, repr=False)

    async def depart(self) -> None:
        """Return at the moment this task's request may leave.

        Waits until the domain's gap has passed since its last departure (milliseconds at most, for
        the claim has kept the pace already). Counts once a task, whoever calls it.

        Raises:
            DomainBlocked: the domain has asked for a pause since the task was claimed.
            LeaseLost: this process no longer owns the domain.
        """
        if self.lease is not None and not self.departed:
            self.departure = await self.lease.depart()
            self.departed = True

    async def document(self, name: str) -> str | None:
        """Return the text an earlier task of this job left under `name`, or None."""
        return None if self.lease is None else await self.lease.document(self.job_id, name)

    async def earlier(self, job_id: int) -> dict[str, Any] | None:
        """Return the detail that the task of this key left in an earlier job of its domain."""
        return None if self.lease is None else await self.lease.earlier(self.id, job_id)

    async def job(self) -> JobFacts | None:
        """Return what is known of this task's job, as a rule without a query.

        Raises:
            LoadFailed: it is not known, and could not be loaded.
        """
        return None if self.lease is None else await self.lease.job(self.job_id)

    async def enqueue(self, tasks: Sequence[NewTask]) -> Enqueued:
        """Add tasks to this task's job now: the first of many need not wait for its outcome.

        They stay if the attempt fails (StoreError included); the next one may offer all again.
        """
        return Enqueued() if self.lease is None else await self.lease.enqueue(self.job_id, tasks)


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job's row and counters at one instant; `running` is part of `pending` in the row, not here.

    `gap_ms` is the gap its domain permits between two requests now; `workers_alive` are the
    processes that work and know its handler; `error` says why the job failed; `retries_job_id`
    names the job whose failed tasks it runs again.
    """

    id: int
    domain: str
    handler: str
    status: JobState
    priority: float
    concurrency: int
    max_tasks: int | None
    options: dict[str, Any] = field(repr=False)
    discovery_open: bool
    error: str | None
    retries_job_id: int | None
    total: int
    pending: int
    waiting: int
    running: int
    completed: int
    failed: int
    skipped: int
    cancelled: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    waiting_reason: WaitingReason | None
    next_start_in_ms: float | None
    owner: int | None
    gap_ms: int
    workers_alive: int

    @property
    def live(self) -> int:
        """Tasks that are not final."""
        return self.pending + self.waiting + self.running

    @property
    def settled(self) -> int:
        """Tasks that are final."""
        return self.completed + self.failed + self.skipped + self.cancelled


@dataclass(frozen=True, slots=True)
class Waiting:
    """Tasks of one job that wait for one reason.

    `expected_in_ms`: when the first of them may start as far as is known; None when it depends on
    others. `holder` says in words what they wait for.
    """

    job_id: int
    domain: str
    reason: WaitingReason
    tasks: int
    expected_in_ms: float | None
    holder: str


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task at one instant; `reason`, `expected_in_ms` and `holder` as in `Waiting` while it waits.

    `attempt` counts the attempts settled, `error` is the last one's, `owner` the worker that holds
    its domain.
    """

    id: int
    job_id: int
    domain: str
    key: str
    target: str
    state: TaskState
    reason: WaitingReason | None
    expected_in_ms: float | None
    holder: str | None
    priority: float
    attempt: int
    owner: int | None
    created_at: datetime
    ready_at: datetime | None
    finished_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that failed for good, with what its last attempt said; `attempt` counts all it had."""

    id: int
    target: str
    key: str
    attempt: int
    error: str | None
    http_status: int | None
    message: str | None
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class StuckJob:
    """A job that has made no progress for `idle_s` although nothing asks it to wait so long."""

    job_id: int
    domain: str
    tasks: int
    reason: WaitingReason
    holder: str
    idle_s: float


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of tasks: new, there already, over max_tasks, refused by a final job."""

    inserted: int = 0
    known: int = 0
    over_limit: int = 0
    refused: int = 0

    def plus(self, inserted: int, known: int, over_limit: int, refused: int) -> Enqueued:
        """Return these counts and those together."""
        return Enqueued(
            self.inserted + inserted,
            self.known + known,
            self.over_limit + over_limit,
            self.refused + refused,
        )


@dataclass(frozen=True, slots=True)
class Raised:
    """What became of raises: on their way, not needed (as high already, or final), of no known key."""

    raised: int = 0
    suppressed: int = 0
    unknown: int = 0
