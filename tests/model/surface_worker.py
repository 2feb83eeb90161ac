"""One worker of the model test: what a process does with the store, without loops and handlers.

Keeps what the engine keeps (`HeldDomain`, with its cursors), and tells the model what it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oracles.sql_surface import ModelJob, ModelSettlement, Surface
from pacewheel.held import Held, HeldDomain
from pacewheel.model import JobFacts, JobState, NewTask, Outcome, TaskState
from pacewheel.ports import ClaimRequest, DomainClaim, Settlement
from pacewheel.store import Store

HANDLER = "h"
HOUR_S = 3600.0
LEASE_MS = 3_600_000
DOMAINS_MAX = 10


async def _no_job(_job_id: int) -> JobFacts:
    raise AssertionError


@dataclass(slots=True)
class Item:
    """A task claimed here and not settled; `runs` is False for one that a dead owner left."""

    domain: HeldDomain
    task_id: int
    job: int
    key: str
    attempt: int
    runs: bool = True


class Worker:
    """Leases, claims, settles and gives back."""

    def __init__(self, store: Store, model: Surface) -> None:
        self.id = 0
        self._store = store
        self._model = model
        self._held = Held(store=store.tasks, read_job=_no_job, on_departed=lambda _: None)
        self._items: list[Item] = []

    async def register(self) -> None:
        """Enter the workers."""
        self.id = await self._store.leases.register_worker(8, LEASE_MS, [HANDLER])

    def _unsettled(self, domain: HeldDomain) -> set[tuple[int, str]]:
        return {(item.job, item.key) for item in self._items if item.domain is domain
                and item.task_id in domain.unsettled}  # fmt: skip

    async def lease(self) -> None:
        """Take what has work; what a dead owner left running is to be settled."""
        held = {domain.id for domain in self._held}
        expected = self._model.leasable(self.id, held)
        leased = await self._store.leases.lease_domains(
            self.id, [HANDLER], 0, DOMAINS_MAX, sorted(held)
        )
        assert expected == {domain.id for domain in leased}
        left = {domain.id: self._model.lease(self.id, domain.id) for domain in leased}
        lost = await self._store.leases.load_tasks(
            {domain.id: domain.in_flight for domain in leased if domain.in_flight}
        )
        for domain in leased:
            self._held.add(HeldDomain(domain.id, domain.name, domain.epoch, self._held))
        keys = await self._keys([task.id for task in lost])
        for task in lost:
            domain_held = self._held.get(task.domain_id)
            assert domain_held is not None
            domain_held.unsettled[task.id] = task.job_id
            key = keys[task.id]
            left[task.domain_id].remove((task.job_id, key))
            self._items.append(
                Item(domain_held, task.id, task.job_id, key, task.attempt, runs=False)
            )
        assert not any(left.values())

    async def _keys(self, task_ids: Sequence[int]) -> dict[int, str]:
        rows = await self._store._pool.fetch(
            "SELECT id, coalesce(key, target) AS key FROM pacewheel.tasks WHERE id = ANY ($1::bigint[])",
            task_ids,
        )
        return {row["id"]: row["key"] for row in rows}

    async def claim(self, tasks_max: int) -> None:
        """Claim from all that is held; get the best of each job that there is room for."""
        asked = list(self._held)
        request = ClaimRequest(
            domain_ids=[domain.id for domain in asked],
            epochs=[domain.epoch for domain in asked],
            unsettled=[list(domain.unsettled) for domain in asked],
            running={job_id: n for domain in asked for job_id, n in domain.running.items()},
            cursors={job_id: at for domain in asked for job_id, at in domain.cursors.items()},
            ahead={job_id: at for domain in asked for job_id, at in domain.ahead.items()},
            tasks_max=tasks_max,
            lead_ms=5,
        )
        claims = await self._store.tasks.claim_tasks(self.id, [HANDLER], request)
        mine = [d for d in asked if self._model.domains[d.id].epoch == d.epoch]
        assert {domain.id for domain in mine} == {claim.domain_id for claim in claims}
        for domain in asked:
            if domain not in mine:
                self._drop(domain)
        for claim in claims:
            domain = self._held.get(claim.domain_id)
            assert domain is not None
            await self._take(domain, claim, tasks_max)

    async def _take(self, domain: HeldDomain, claim: DomainClaim, tasks_max: int) -> None:
        unsettled = self._unsettled(domain)
        gate = self._model.domains[domain.id]
        slots = (1 if gate.slot_free else 0) if gate.gap else tasks_max
        keys = await self._keys([task[0] for task in claim.tasks])
        room = 0
        for job in self._model.jobs_of(domain.id):
            given = [(task[2], task[0]) for task in claim.tasks if task[1] == job.id]
            free = self._room(job, domain, slots)
            waiting = self._model.claimable(job, unsettled)
            assert len(given) <= free
            room += min(free, len(waiting))
            # Whatever it gives is better than whatever it leaves.
            assert sorted(given, reverse=True) == given
            taken = [keys[task_id] for _, task_id in given]
            assert set(taken) <= set(waiting)
            left = [job.tasks[key].priority for key in waiting if key not in taken]
            assert not (given and left) or given[-1][0] >= max(left)
        assert min(slots, room) == len(claim.tasks)
        for task_id, job_id, priority, attempt, _target, _payload, poke in claim.tasks:
            domain.started(task_id, job_id, priority, poke)
            self._items.append(Item(domain, task_id, job_id, keys[task_id], attempt))
        if claim.tags and claim.strides and claim.competing:
            job_ids = [task[1] for task in claim.tasks]
            domain.share(job_ids, claim.tags, claim.strides, claim.competing)
        claimed = [(task[1], keys[task[0]]) for task in claim.tasks]
        self._model.claim(domain.id, claimed, unsettled)

    @staticmethod
    def _room(job: ModelJob, domain: HeldDomain, slots: int) -> int:
        if job.status not in (JobState.PENDING, JobState.RUNNING):
            return 0
        return max(0, min(slots, job.concurrency - domain.running.get(job.id, 0)))

    async def settle(self, ends: Sequence[tuple[int, TaskState, Sequence[NewTask]]]) -> None:
        """End some tasks; what is of a domain no longer owned changes nothing."""
        leases: dict[int, HeldDomain] = {}
        chosen: dict[int, tuple[Item, TaskState, Sequence[NewTask]]] = {}
        for number, status, discovered in ends:
            if self._items:
                item = self._items[number % len(self._items)]
                # A batch knows one epoch of a domain.
                if leases.setdefault(item.domain.id, item.domain) is item.domain:
                    chosen[id(item)] = (item, status, discovered)
        if not chosen:
            return
        batch, twins = [], []
        for item, status, discovered in chosen.values():
            attempt = item.attempt + 1
            waits = status is TaskState.WAITING
            outcome = Outcome.completed(discovered=discovered)
            retry_in_ms = round(HOUR_S * 1000) if waits else None
            batch.append(
                Settlement(
                    item.domain.id,
                    item.task_id,
                    item.job,
                    status,
                    attempt,
                    1,
                    retry_in_ms,
                    outcome,
                )
            )
            twins.append(
                ModelSettlement(item.domain.id, item.job, item.key, status, attempt, discovered)
            )
        epochs = {domain_id: domain.epoch for domain_id, domain in leases.items()}
        settled = await self._store.tasks.settle_tasks(self.id, epochs, batch)
        assert self._model.settle(self.id, epochs, twins) == settled.rows
        for item, status, _ in chosen.values():
            self._end(item, waits=status is TaskState.WAITING)

    def _end(self, item: Item, *, waits: bool) -> None:
        self._items.remove(item)
        if item.runs:
            item.domain.ended(item.job)
        if waits:
            item.domain.put_back(item.task_id, item.job)
        else:
            item.domain.unsettled.pop(item.task_id, None)

    def interrupt(self, which: int) -> None:
        """Stop one handler; its task is pending again, which only the next claim writes."""
        running = [item for item in self._items if item.runs]
        if running:
            self._end(running[which % len(running)], waits=True)

    async def release(self, which: int) -> None:
        """Give one domain back; what was claimed there is lost to this worker."""
        domains = list(self._held)
        if domains:
            domain = domains[which % len(domains)]
            self._drop(domain)
            await self._store.leases.release_domains(self.id, [domain.id], [domain.epoch], [0.0])
            self._model.release(self.id, domain.id, domain.epoch)

    def forget(self, which: int) -> None:
        """Drop one domain without giving it back; late outcomes of it may still come."""
        domains = list(self._held)
        if domains:
            self._held.drop(domains[which % len(domains)].id)

    def _drop(self, domain: HeldDomain) -> None:
        self._held.drop(domain.id)
        self._items = [item for item in self._items if item.domain is not domain]
