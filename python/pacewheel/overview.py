"""What people see of a running system: the values that command line, API, dashboard and metrics share.

Data only, read at one instant by `store/overview.py`; `plain.py` turns them into JSON. The database
is the one truth here, so every process of it says the same. What only the process at work knows
(slots, cache, the gap that response times ask for) stands in its metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pacewheel.model import TaskInfo, TaskState, WaitingReason

SLOW_MS = 1000.0


class WorkerState(StrEnum):
    """What has become of a process (the closed set)."""

    ALIVE = "alive"
    DRAINING = "draining"
    """It takes no more domains, and ends when what it runs has ended."""
    EXPIRED = "expired"
    """Its lease ran out; the next process that looks declares it lost."""
    ENDED = "ended"
    LOST = "lost"


class DomainSort(StrEnum):
    """What comes first in a list of domains."""

    NAME = "name"
    LIVE = "live"
    """Most live tasks."""
    GAP = "gap"
    """Longest gap between two requests."""
    BLOCKED = "blocked"
    """Blocked for longest, or most lately."""
    REFUSED = "refused"
    """Refused a request most lately."""
    NEXT = "next"
    """Earliest next slot."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all live jobs at one instant.

    `waiting_by_reason` has every reason and sums up to `pending` + `waiting`: `pending` tasks could
    run and don't, `waiting` ones have their own time. `total` to `cancelled` are the counters of
    the live jobs: they fall when a job ends. For rates there are `attempts` and `enqueued`: all
    that were ever settled and inserted, by the server's statistics, up to a second late; they start
    anew when those do.
    """

    jobs_active: int
    jobs_paused: int
    domains_active: int
    domains_blocked: int
    workers_alive: int
    total: int
    pending: int
    waiting: int
    running: int
    completed: int
    failed: int
    skipped: int
    cancelled: int
    waiting_by_reason: Mapping[WaitingReason, int]
    attempts: int
    enqueued: int

    @property
    def live(self) -> int:
        """Tasks that are not final."""
        return self.pending + self.waiting + self.running


@dataclass(frozen=True, slots=True)
class DomainInfo:
    """A domain at one instant.

    `gap_ms` is the longest of its three parts: what users asked for, robots.txt, and what its 429
    and 503 answers taught. `next_slot_in_ms` is 0 when a request may start now; `blocked_in_ms` is
    None unless nothing may start, for `block_reason`. `refused_at` is when the last 429 or 503 was
    recorded. `owner` is the worker that holds it.
    """

    id: int
    name: str
    owner: int | None
    gap_ms: int
    base_delay_ms: int
    robots_delay_ms: int
    adaptive_delay_ms: int
    next_slot_in_ms: float
    blocked_in_ms: float | None
    block_reason: str | None
    refused_at: datetime | None
    failures: int
    live_jobs: int
    pending: int
    waiting: int
    running: int
    completed: int
    failed: int

    @property
    def live(self) -> int:
        """Tasks that are not final."""
        return self.pending + self.waiting + self.running


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A process that works, or did.

    `capacity` is its most slots, `domains` how many it holds, `running` how many tasks it runs,
    `connections` its share of the server's. `lease_in_ms` is what is left of its lease, below zero
    once it has run out; None when the process has ended.
    """

    id: int
    host: str
    pid: int
    version: str
    state: WorkerState
    handlers: Sequence[str]
    capacity: int
    domains: int
    running: int
    connections: int
    lease_in_ms: float | None
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task in a list, with what its last attempt said; `attempt` counts those that are settled."""

    id: int
    key: str
    target: str
    state: TaskState
    reason: WaitingReason | None
    priority: float
    attempt: int
    created_at: datetime
    ready_at: datetime | None
    finished_at: datetime | None
    error: str | None
    http_status: int | None
    duration_ms: int | None
    bytes: int | None
    cache: str | None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Part of a list of tasks; hand `after` in to read on, None is the end.

    A part may be empty and yet not the end: so many rows were looked at and none was asked for.
    """

    tasks: Sequence[TaskRow]
    after: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One settled attempt of a task; `apart_ms` is the time since its domain's departure before it."""

    attempt: int
    worker_id: int
    outcome: TaskState
    error: str | None
    http_status: int | None
    duration_ms: int
    bytes: int | None
    cache: str | None
    departed_at: datetime | None
    finished_at: datetime
    apart_ms: float | None
    gap_ms: int | None
    detail: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class TaskDetail:
    """A task with its attempts, the last one first; at most a hundred of them."""

    task: TaskInfo
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class SlowStatement:
    """A statement of this software that has been running for long, in whichever process.

    `statement` is its file in sql/queries, None for one that is not from there. `waits_for` is what
    the server says of it (`Lock: transactionid`), `blocked_by` who holds that lock, by pid.
    """

    pid: int
    statement: str | None
    age_ms: float
    waits_for: str | None
    blocked_by: Sequence[int]


class OverviewStore(Protocol):
    """Reads all of this; `engine.store.overview` is one."""

    async def count_totals(self) -> Totals:
        """Sum up the live jobs."""

    async def list_domains(
        self,
        *,
        search: str | None = None,
        live_only: bool = True,
        sort: DomainSort = DomainSort.NAME,
        limit: int = 100,
        offset: int = 0,
    ) -> list[DomainInfo]:
        """Return domains whose name contains `search`."""

    async def get_domain(self, name: str) -> DomainInfo:
        """Return one domain."""

    async def list_workers(self, *, ended: int = 20) -> list[WorkerInfo]:
        """Return the processes."""

    async def list_tasks(
        self,
        job_id: int,
        *,
        state: TaskState | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> TaskPage:
        """Return tasks of a job."""

    async def get_task(self, task_id: int, *, job_id: int | None = None) -> TaskDetail:
        """Return a task by its id."""

    async def find_task(self, job_id: int, key: str) -> TaskDetail:
        """Return a task by its key."""
