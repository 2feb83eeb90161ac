"""Dispatcher: claims for all free slots of the process, in one statement at a time.

Owns the queue of due domains, first come first served, so every domain gets its turn however many
tasks another has. A domain becomes due when its slot timer fires, when a handler of it ends at a
limit, when tasks were enqueued or woken, and by the sweep; the claim then says what came of it and
when to ask again. Nothing is claimed that can't start at once: the choice is made at the last
moment, and no slot is held asleep.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from pacewheel.clock import monotonic_ms
from pacewheel.model import Task, WaitingReason
from pacewheel.ports import ClaimRequest
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from pacewheel.held import Held, HeldDomain
    from pacewheel.metrics import Waits
    from pacewheel.model import Outcome
    from pacewheel.ports import ClaimedTask, DomainClaim, TaskStore
    from pacewheel.registry import Handler, Registry

log = logging.getLogger("pacewheel.dispatcher")

# Joins within the statement are nested loops over so many domains; more would cost their square.
CLAIM_DOMAINS_MAX = 100
JOBS_KNOWN_MAX = 10_000
# How soon to look again whether a lapsed lease was renewed.
LAPSE_PAUSE_S = 0.05


def _what_holds_back(claim: DomainClaim) -> WaitingReason:
    """Return the reason of the tasks that a claim left."""
    if claim.blocked_in_ms is not None:
        return WaitingReason.DOMAIN_BLOCKED
    if claim.limited:
        return WaitingReason.CONCURRENCY_LIMIT
    if claim.gap_ms > 0:
        return WaitingReason.DOMAIN_DELAY
    return WaitingReason.WORKER_CAPACITY


class Dispatcher(Service):
    """Turns due domains and free slots into running tasks."""

    def __init__(
        self,
        *,
        store: TaskStore,
        held: Held,
        registry: Registry,
        free: Callable[[], int],
        submit: Callable[[Task, Handler], None],
        wake_workers: Callable[[], None],
        slot_at: Callable[[int, float], None],
        ready_in: Callable[[int, float], None],
        on_lost: Callable[[int], None],
        lead_ms: int,
        waits: Waits,
    ) -> None:
        super().__init__()
        self._store = store
        self._held = held
        self._registry = registry
        self._free = free
        self._submit = submit
        self._wake_workers = wake_workers
        self._slot_at = slot_at
        self._ready_in = ready_in
        self._on_lost = on_lost
        self._lead_ms = lead_ms
        self._waits = waits
        self._due: dict[int, None] = {}
        self._changed = asyncio.Event()
        self._jobs: dict[int, tuple[Handler, dict[str, Any]]] = {}

    def mark_due(self, domain_id: int) -> None:
        """Ask for the domain's tasks as soon as a slot is free."""
        self._due.setdefault(domain_id)
        self._changed.set()

    def slot_freed(self) -> None:
        """Look again: a handler ended."""
        if self._due:
            self._changed.set()

    def forget(self, domain_id: int) -> None:
        """Ask for the domain no more."""
        self._due.pop(domain_id, None)

    async def _loop(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._due and self._free() > 0:
                if self._held.lease_valid():
                    await self.run_once()
                else:
                    await asyncio.sleep(LAPSE_PAUSE_S)

    async def run_once(self) -> int:
        """Claim once for the domains that have waited longest; return how many tasks that gave."""
        free = self._free()
        asked = self._ask_for(min(free, CLAIM_DOMAINS_MAX))
        if not asked or self._held.worker_id is None:
            return 0
        tasks_max = 1 if asked[0].pace.is_open else max(1, free // len(asked))
        request = ClaimRequest(
            domain_ids=[domain.id for domain in asked],
            epochs=[domain.epoch for domain in asked],
            unsettled=[task_id for domain in asked for task_id in domain.unsettled],
            unsettled_domains=[domain.id for domain in asked for _ in domain.unsettled],
            running={job_id: n for domain in asked for job_id, n in domain.running.items()},
            cursors={job_id: at for domain in asked for job_id, at in domain.cursors.items()},
            ahead={job_id: at for domain in asked for job_id, at in domain.ahead.items()},
            tasks_max=tasks_max,
            lead_ms=self._lead_ms,
        )
        returned = [domain.returned for domain in asked]
        for domain in asked:
            # A handler that ends while the claim is under way would not see what the claim says of
            # limits.
            domain.recheck = True
        try:
            claims = await self._store.claim_tasks(
                self._held.worker_id, self._registry.names(), request
            )
            await self._know_jobs(claims)
        except BaseException:
            self._due = {**{domain.id: None for domain in asked}, **self._due}
            self._changed.set()
            raise
        answered = {claim.domain_id: claim for claim in claims}
        for domain, before in zip(asked, returned, strict=True):
            claim = answered.get(domain.id)
            if self._held.get(domain.id) is not domain:
                continue
            if claim is None:
                self._on_lost(domain.id)
            else:
                self._take(domain, claim, tasks_max)
                if domain.returned != before:
                    domain.cursors.clear()
        self._wake_workers()
        return sum(len(claim.tasks) for claim in claims)

    def _ask_for(self, domains_max: int) -> list[HeldDomain]:
        """Take the domains that have waited longest off the queue."""
        asked: list[HeldDomain] = []
        while self._due and len(asked) < domains_max:
            domain_id = next(iter(self._due))
            del self._due[domain_id]
            domain = self._held.get(domain_id)
            if domain is None or domain.releasing:
                continue
            if domain.blocked_until_ms > monotonic_ms():
                domain.waiting_for = WaitingReason.DOMAIN_BLOCKED
                self._slot_at(domain_id, domain.blocked_until_ms)
            elif not domain.pace.is_open:
                asked.append(domain)
            elif domain.running:
                # One task at a time finds out whether the site answers again.
                domain.waiting_for = WaitingReason.DOMAIN_BLOCKED
                domain.recheck = True
            elif asked:
                self._due = {domain_id: None, **self._due}
                break
            else:
                return [domain]
        return asked

    def _take(self, domain: HeldDomain, claim: DomainClaim, tasks_max: int) -> None:
        now_ms = monotonic_ms()
        # What was learned since may not have reached the row yet.
        domain.gap_ms = max(claim.gap_ms, domain.pace.adaptive_delay_ms)
        if claim.tasks:
            self._observe(domain, claim)
        for claimed in claim.tasks:
            self._start(domain, claimed)
        if claim.tags and claim.strides:
            domain.share([task[1] for task in claim.tasks], claim.tags, claim.strides)
        else:
            domain.ahead = {}
        domain.waiting_for = _what_holds_back(claim)
        if claim.wake_in_ms is not None:
            self._ready_in(domain.id, max(0.0, claim.wake_in_ms))
        domain.recheck = claim.limited or (bool(claim.tasks) and claim.gap_ms == 0)
        if claim.blocked_in_ms is not None:
            self._slot_at(domain.id, now_ms + claim.blocked_in_ms)
        elif claim.gap_ms > 0 and (claim.tasks or claim.slot_in_ms > 0):
            self._slot_at(
                domain.id, now_ms + max(claim.slot_in_ms, domain.slot_in_ms()) - self._lead_ms
            )
        elif len(claim.tasks) >= tasks_max:
            self.mark_due(domain.id)
        elif not claim.tasks and not claim.limited and domain.idle_since_ms is None:
            domain.idle_since_ms = now_ms

    def _observe(self, domain: HeldDomain, claim: DomainClaim) -> None:
        """Note how long the tasks were claimable, and what held them back."""
        waits = self._waits
        if claim.paused is None:
            waits.observe_ms(domain.waiting_for, claim.waits_ms)
            return
        for wait_ms, paused in zip(claim.waits_ms, claim.paused, strict=True):
            reason = WaitingReason.JOB_PAUSED if paused else domain.waiting_for
            waits.observe_ms(reason, (wait_ms,))

    def _start(self, domain: HeldDomain, claimed: ClaimedTask) -> None:
        task_id, job_id, priority, attempts_used, target, payload, poke = claimed
        handler, options = self._jobs[job_id]
        domain.started(task_id, job_id, priority, poke)
        task = Task(
            task_id,
            job_id,
            domain.id,
            domain.name,
            handler.name,
            target,
            priority,
            attempts_used + 1,
            payload,
            options,
            domain,
        )
        self._submit(task, handler)

    def departed(self, domain: HeldDomain) -> None:
        """Ask again one gap after the request really left, less the lead that a claim takes."""
        self._slot_at(domain.id, domain.last_departure_ms + domain.gap_ms - self._lead_ms)

    def blocked(self, domain: HeldDomain) -> None:
        """Ask again when the domain's pause is over."""
        self._slot_at(domain.id, domain.blocked_until_ms)

    async def _know_jobs(self, claims: list[DomainClaim]) -> None:
        missing = {task[1] for claim in claims for task in claim.tasks} - self._jobs.keys()
        if not missing:
            return
        if len(self._jobs) + len(missing) > JOBS_KNOWN_MAX:
            self._jobs.clear()
            missing = {task[1] for claim in claims for task in claim.tasks}
        for job_id, (name, options) in (await self._store.get_job_options(sorted(missing))).items():
            handler = self._registry.get(name)
            if handler is None:
                raise AssertionError(name)
            self._jobs[job_id] = (handler, options)

    def end(self, domain: HeldDomain, task: Task, outcome: Outcome | None) -> None:
        """Take back the slot of a handler that ended; an interrupted task can be claimed again."""
        domain.ended(task.job_id)
        if outcome is None:
            domain.put_back(task.id, task.job_id)
        if domain.recheck or outcome is None:
            self.mark_due(domain.id)
        self.slot_freed()
