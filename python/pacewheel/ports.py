"""What the services need of the database: narrow protocols and the values that cross them.

The services know only these; `pacewheel.store` implements them on PostgreSQL. Times cross as
remaining milliseconds, counted by the database at the moment of its answer, never as instants: no
two machines' clocks are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pacewheel.model import Outcome, TaskState
from pacewheel.pacing import Lesson, Pace


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

    `limited`: a job of it runs as many tasks as it may. Beside the tasks: how long each was
    claimable, whether a pause of its job is why (None: of none), and, when jobs share the domain,
    each one's tag and stride.
    """

    domain_id: int
    gap_ms: int
    blocked_in_ms: float | None
    slot_in_ms: float
    limited: bool
    wake_in_ms: float | None
    waits_ms: Sequence[int]
    tags: Sequence[float] | None
    strides: Sequence[float] | None
    paused: Sequence[bool] | None
    tasks: list[ClaimedTask]


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """One claim over several domains.

    `unsettled` are the ids of all its tasks that the caller has not settled, `unsettled_domains`
    the domain of each; `running` counts the tasks whose handler runs, by job, `cursors` says
    where each job is read on, and `ahead` how far a job is ahead of its share.
    """

    domain_ids: list[int]
    epochs: list[int]
    unsettled: list[int]
    unsettled_domains: list[int]
    running: Mapping[int, int]
    cursors: Mapping[int, Cursor]
    ahead: Mapping[int, float]
    tasks_max: int
    lead_ms: int


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


@dataclass(frozen=True, slots=True)
class Settled:
    """What a settle did: domains still owned, rows changed, tasks that were discovered."""

    held: frozenset[int]
    rows: int
    discovered: int


@dataclass(frozen=True, slots=True)
class Woken:
    """What waking a domain gave, and when its next waiting task is ready."""

    domain_id: int
    woken: int
    wake_in_ms: float | None


class CallersConnection(Protocol):
    """What is used of an asyncpg connection that the caller brings, with a transaction open."""

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """Run a statement and return its first row."""


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
        held: Sequence[int] = (),
    ) -> list[LeasedDomain]:
        """Find and lease domains that have work and no living owner, or are ours unawares."""

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
    """Claim, settle and wake."""

    async def claim_tasks(
        self, worker_id: int, handlers: Sequence[str], request: ClaimRequest
    ) -> list[DomainClaim]:
        """Claim from the caller's domains; one missing from the answer is no longer its own."""

    async def settle_tasks(
        self, worker_id: int, epochs: Mapping[int, int], batch: Sequence[Settlement]
    ) -> Settled:
        """Record a batch of attempts, all or nothing, fenced by the epochs of its domains."""

    async def wake_tasks(self, domain_ids: Sequence[int], limit: int) -> list[Woken]:
        """Make pending what has become ready in these domains."""

    async def get_job_options(
        self, job_ids: Sequence[int]
    ) -> dict[int, tuple[str, dict[str, Any]]]:
        """Return handler and options of each job."""

    async def get_document(self, domain_id: int, job_id: int, name: str) -> str | None:
        """Return a text that an earlier task of the job left."""
