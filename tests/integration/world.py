"""An engine that runs nothing, and a worker whose every step a test does by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pacewheel import Engine, Job, NewTask, Outcome, TaskState
from pacewheel.ports import ClaimRequest, LeasedDomain, Settlement
from tests.conftest import fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

HANDLERS = ["note"]
LEASE_MS = 60_000
CLAIM_MAX = 1000
OUTCOMES = {
    TaskState.COMPLETED: Outcome.completed(),
    TaskState.FAILED: Outcome.failed("broken"),
    TaskState.SKIPPED: Outcome.skipped("not_today"),
    TaskState.WAITING: Outcome.retry("busy"),
}


class World:
    """An engine that runs nothing, and a worker whose claims and settles are made by hand."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.engine = Engine(dsn)
        self.worker = 0
        self.leases: dict[str, LeasedDomain] = {}
        self.first_leases: dict[str, LeasedDomain] = {}
        self.running: dict[str, list[int]] = {}

    async def start(self) -> None:
        """Connect, and enter the worker."""
        await self.engine.connect()
        self.worker = await self.engine.store.leases.register_worker(1, LEASE_MS, HANDLERS)

    async def create(self, domain: str, *targets: str) -> Job:
        """Create a job of these tasks, the first one first in line, and lease its domain."""
        tasks = [NewTask(target, priority=-n) for n, target in enumerate(targets)]
        job = await self.engine.create_job(
            domain=domain, handler="note", concurrency=CLAIM_MAX, tasks=tasks
        )
        await self.lease(domain)
        return job

    async def lease(self, domain: str) -> None:
        """Become the owner of a domain that nobody owns."""
        leased = await self.engine.store.leases.lease_domains(self.worker, HANDLERS, 1000, 10)
        self.leases |= {lease.name: lease for lease in leased}
        self.first_leases = self.leases | self.first_leases
        self.running[domain] = []

    async def claim(self, domain: str, tasks_max: int = 1) -> list[int]:
        """Claim from the domain; return the ids."""
        lease, running = self.leases[domain], self.running[domain]
        request = ClaimRequest(
            domain_ids=[lease.id],
            epochs=[lease.epoch],
            unsettled=[running],
            running={},
            cursors={},
            ahead={},
            tasks_max=tasks_max,
            lead_ms=5,
        )
        claims = await self.engine.store.tasks.claim_tasks(self.worker, HANDLERS, request)
        claimed = [task[0] for claim in claims for task in claim.tasks]
        self.running[domain] = running + claimed
        return claimed

    async def settle(
        self, domain: str, job: Job, task_ids: Sequence[int], state: TaskState, attempt: int = 1
    ) -> None:
        """Settle tasks as the worker that claimed them first."""
        lease = self.first_leases[domain]
        retry_in_ms = 0 if state is TaskState.WAITING else None
        batch = [
            Settlement(lease.id, task_id, job.id, state, attempt, 1, retry_in_ms, OUTCOMES[state])
            for task_id in task_ids
        ]
        await self.engine.store.tasks.settle_tasks(self.worker, {lease.id: lease.epoch}, batch)
        left = [task_id for task_id in self.running[domain] if task_id not in task_ids]
        self.running[domain] = left

    async def release(self, domain: str) -> None:
        """Give the domain back: what runs of it is interrupted."""
        lease = self.leases[domain]
        await self.engine.store.leases.release_domains(
            self.worker, [lease.id], [lease.epoch], [0.0]
        )

    async def rows(self, job: Job) -> list[Any]:
        """Everything that is stored of a job and of its task `it`."""
        found = await fetch(
            self.dsn,
            "SELECT j.*, t.* FROM pacewheel.jobs j LEFT JOIN pacewheel.tasks t"
            " ON t.domain_id = j.domain_id AND t.job_id = j.id AND t.target = 'it' WHERE j.id = $1",
            job.id,
        )
        return [tuple(row) for row in found]

    async def task(self, job: Job) -> tuple[int, int, TaskState]:
        """Id, attempts and state of the task `it`."""
        (row,) = await fetch(
            self.dsn,
            "SELECT id, attempt, state FROM pacewheel.task_states WHERE job_id = $1 AND target = 'it'",
            job.id,
        )
        return row["id"], row["attempt"], TaskState[row["state"].upper()]
