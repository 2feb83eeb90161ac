"""Dispatcher: claims for all free slots of the process, in one statement at a time.

Owns the queue of due domains, first come first served, so every domain gets its turn however many
tasks another has. A domain becomes due when its slot timer fires, when a handler of it ends at a
limit, when tasks were enqueued or woken, and by the sweep; the claim then says what came of it and
when to ask again. Nothing is claimed that can't start at once: the choice is made at the last
moment, and no slot is held asleep.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from pacewheel import tracing
from pacewheel.clock import monotonic_ms
from pacewheel.errors import LoadFailed, StoreUnavailable
from pacewheel.model import Task, WaitingReason
from pacewheel.ports import ClaimRequest, InvalidationReason
from pacewheel.scaling import Shortage
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pacewheel.held import Held, HeldDomain
    from pacewheel.metrics import Metrics
    from pacewheel.model import JobFacts, Outcome
    from pacewheel.ports import ClaimedTask, DomainClaim, JobCache, TaskStore
    from pacewheel.registry import Handler, Registry

# A claim holds the locks of so many domains at most.
CLAIM_DOMAINS_MAX = 100
# And asks so many jobs that may give more than one task: many of few cost less than a few of
# many.
CLAIM_JOBS_MAX = 20
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
    if claim.filled:
        return WaitingReason.CONCURRENCY_LIMIT
    return WaitingReason.WORKER_CAPACITY


class Dispatcher(Service):
    """Turns due domains and free slots into running tasks."""

    def __init__(
        self,
        *,
        store: TaskStore,
        jobs: JobCache,
        held: Held,
        registry: Registry,
        free: Callable[[], int],
        spare: Callable[[], int],
        submit: Callable[[Task, Handler], None],
        wake_workers: Callable[[], None],
        slot_at: Callable[[int, float], None],
        ready_in: Callable[[int, float], None],
        nothing_waits: Callable[[int, float], None],
        on_lost: Callable[[int], None],
        lead_ms: int,
        metrics: Metrics,
    ) -> None:
        super().__init__()
        self._store = store
        self._jobs = jobs
        self._held = held
        self._registry = registry
        self._free = free
        self._spare = spare
        self._submit = submit
        self._wake_workers = wake_workers
        self._slot_at = slot_at
        self._ready_in = ready_in
        self._nothing_waits = nothing_waits
        self._on_lost = on_lost
        self._lead_ms = lead_ms
        self._metrics = metrics
        self._due: dict[int, None] = {}
        self._waits_ms: defaultdict[WaitingReason, list[float]] = defaultdict(list)
        """Those of one claim: counted together they cost a third."""
        self._changed = asyncio.Event()
        self._shortage = Shortage()
        self._ahead = False
        self._claiming = False
        self._after_claim: list[Callable[[], object]] = []

    def mark_due(self, domain_id: int) -> None:
        """Ask for the domain's tasks as soon as a slot is free."""
        self._due.setdefault(domain_id)
        self._changed.set()

    def ask_anew(self, domain_ids: Sequence[int]) -> None:
        """Ask for domains whose gap somebody has set, at once: what is remembered of it is not so."""
        # What a claim under way says may be from before.
        self.after_claim(partial(self.ask_anew, domain_ids))
        for domain_id in domain_ids:
            domain = self._held.get(domain_id)
            if domain is not None:
                domain.ask_anew = True
                self.mark_due(domain_id)

    def slot_freed(self) -> None:
        """Look again: a handler ended."""
        if self._due:
            self._changed.set()
        elif self._spare() >= 0:
            self._shortage.cancel()

    def has_due(self) -> bool:
        """True while a domain is due, as far as hints and timers know."""
        return bool(self._due)

    def take_shortage_ms(self) -> float:
        """Return for how long due domains with tasks waited for a slot, since the last call."""
        if self._spare() < 0:
            self._shortage.prove_until(monotonic_ms())
        return self._shortage.take_ms()

    def look_ahead(self) -> None:
        """Claim one task without a free slot, if a due domain has one.

        Without it, handlers that run long would hide for as long whether anything waits for them.
        """
        if self._due and self._spare() <= 0:
            self._ahead = True
            self._changed.set()

    def forget(self, domain_id: int) -> None:
        """Ask for the domain no more."""
        self._due.pop(domain_id, None)
        if not self._due and self._spare() >= 0:
            self._shortage.cancel()

    def after_claim(self, call: Callable[[], object]) -> None:
        """Call when the claim under way, if there is one, is taken in.

        It may bring tasks of which something was said after it had been sent.
        """
        if self._claiming:
            self._after_claim.append(call)

    async def _loop(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._due and (self._free() > 0 or self._ahead):
                self._shortage.end(monotonic_ms())
                if not self._held.lease_valid():
                    await asyncio.sleep(LAPSE_PAUSE_S)
                elif await self.run_once() > 0:
                    self._ahead = False
                    self._shortage.prove()
            self._ahead = False
            self._shortage.drop_unproven()
            spare = self._spare()
            if spare < 0 or (spare == 0 and self._due):
                self._shortage.begin(monotonic_ms())

    async def run_once(self) -> int:
        """Claim once for the domains that have waited longest; return how many tasks that gave."""
        free = max(self._free(), int(self._ahead))
        asked = self._ask_for(min(free, CLAIM_DOMAINS_MAX))
        if not asked or self._held.worker_id is None:
            return 0
        tasks_max = 1 if asked[0].pace.is_open else max(1, free // len(asked))
        request = ClaimRequest(
            domain_ids=[domain.id for domain in asked],
            epochs=[domain.epoch for domain in asked],
            unsettled=[list(domain.unsettled) for domain in asked],
            running={job_id: n for domain in asked for job_id, n in domain.running.items()},
            cursors={job_id: at for domain in asked for job_id, at in domain.cursors.items()},
            ahead={job_id: at for domain in asked for job_id, at in domain.ahead.items()},
            tasks_max=tasks_max,
            lead_ms=self._lead_ms,
            least_gaps_ms=[domain.latency_delay_ms for domain in asked],
        )
        returned = [domain.returned for domain in asked]
        sent_ms = monotonic_ms()
        self._claiming = True
        for domain in asked:
            # A handler that ends while the claim is under way would not see what the claim says of
            # limits.
            domain.recheck = True
        try:
            with tracing.claim(len(asked)) as gave:
                claims = await self._store.claim_tasks(
                    self._held.worker_id, self._registry.names(), request
                )
                gave(task[0] for claim in claims for task in claim.tasks)
            jobs = await self._know_jobs(claims)
        except BaseException:
            self._due = {**{domain.id: None for domain in asked}, **self._due}
            self._changed.set()
            self._claiming = False
            self._after_claim.clear()
            raise
        self._claiming = False
        answered = {claim.domain_id: claim for claim in claims}
        for domain, before in zip(asked, returned, strict=True):
            claim = answered.get(domain.id)
            if self._held.get(domain.id) is not domain:
                continue
            if claim is None:
                self._on_lost(domain.id)
            else:
                self._take(domain, claim, jobs, tasks_max, sent_ms)
                if domain.returned != before:
                    domain.cursors.clear()
        calls, self._after_claim = self._after_claim, []
        for call in calls:
            call()
        self._wake_workers()
        claimed = [task[1] for claim in claims for task in claim.tasks]
        self._metrics.tasks_claimed.inc(len(claimed))
        self._metrics.hot_jobs.count_claims(claimed)
        for reason, waits_ms in self._waits_ms.items():
            self._metrics.waits.observe_ms(reason, waits_ms)
        self._waits_ms.clear()
        return len(claimed)

    def _ask_for(self, domains_max: int) -> list[HeldDomain]:
        """Take the domains that have waited longest off the queue."""
        asked: list[HeldDomain] = []
        jobs = 0
        while self._due and len(asked) < domains_max and jobs < CLAIM_JOBS_MAX:
            domain_id = next(iter(self._due))
            del self._due[domain_id]
            domain = self._held.get(domain_id)
            if domain is None or domain.releasing:
                continue
            if domain.blocked_until_ms > monotonic_ms():
                domain.waiting_for = WaitingReason.DOMAIN_BLOCKED
                self._slot_at(domain_id, domain.blocked_until_ms)
            elif (wait_ms := domain.slot_in_ms()) > self._lead_ms and not domain.ask_anew:
                # The gap has become longer since the timer was set.
                domain.waiting_for = WaitingReason.DOMAIN_DELAY
                self._slot_at(domain_id, monotonic_ms() + wait_ms - self._lead_ms)
            elif not domain.pace.is_open:
                asked.append(domain)
                jobs += 0 if domain.gap_ms else domain.sharing
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

    def _take(
        self,
        domain: HeldDomain,
        claim: DomainClaim,
        jobs: Mapping[int, tuple[Handler, JobFacts]],
        tasks_max: int,
        sent_ms: float,
    ) -> None:
        now_ms = monotonic_ms()
        # What was learned since may not have reached the row yet.
        domain.ask_anew = False
        domain.gap_ms = max(claim.gap_ms, domain.pace.adaptive_delay_ms, domain.latency_delay_ms)
        if claim.tasks:
            domain.first_slot(now_ms + claim.slot_in_ms - len(claim.tasks) * claim.gap_ms)
            self._observe(domain, claim, now_ms)
        for claimed in claim.tasks:
            self._start(domain, claimed, *jobs[claimed[1]])
        if claim.tags and claim.strides and claim.competing:
            job_ids = [task[1] for task in claim.tasks]
            domain.share(job_ids, claim.tags, claim.strides, claim.competing)
        elif claim.tasks:
            domain.share_no_more()
        domain.waiting_for = _what_holds_back(claim)
        if claim.wake_in_ms is not None:
            self._ready_in(domain.id, claim.wake_in_ms)
        else:
            self._nothing_waits(domain.id, sent_ms)
        self._say_when_to_ask(domain, claim, tasks_max, now_ms)

    def _say_when_to_ask(
        self, domain: HeldDomain, claim: DomainClaim, tasks_max: int, now_ms: float
    ) -> None:
        """Ask again at the next slot, at once, when a handler ends, or when somebody says so."""
        domain.recheck = claim.limited or (claim.filled and claim.gap_ms == 0)
        domain.emptied = False
        if claim.blocked_in_ms is not None:
            self._slot_at(domain.id, now_ms + claim.blocked_in_ms)
        elif claim.gap_ms > 0 and (claim.tasks or claim.slot_in_ms > 0):
            self._slot_at(
                domain.id, now_ms + max(claim.slot_in_ms, domain.slot_in_ms()) - self._lead_ms
            )
        elif len(claim.tasks) >= tasks_max:
            self.mark_due(domain.id)
        elif claim.tasks:
            domain.emptied = not domain.recheck
        elif not claim.limited and domain.idle_since_ms is None:
            domain.idle_since_ms = now_ms

    def _observe(self, domain: HeldDomain, claim: DomainClaim, now_ms: float) -> None:
        """Note how long the tasks were claimable, and what held them back."""
        reason = domain.waiting_for
        if reason is WaitingReason.DOMAIN_DELAY and domain.is_late(now_ms):
            reason = WaitingReason.WORKER_CAPACITY
        if claim.paused is None:
            self._waits_ms[reason] += claim.waits_ms
            return
        for wait_ms, paused in zip(claim.waits_ms, claim.paused, strict=True):
            self._waits_ms[WaitingReason.JOB_PAUSED if paused else reason].append(wait_ms)

    def _start(
        self, domain: HeldDomain, claimed: ClaimedTask, handler: Handler, facts: JobFacts
    ) -> None:
        task_id, job_id, priority, attempts_used, target, payload, poke = claimed
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
            facts.options,
            domain,
        )
        self._submit(task, handler)

    def departed(self, domain: HeldDomain) -> None:
        """Ask again one gap after the request really left, less the lead that a claim takes."""
        self._slot_at(domain.id, domain.last_departure_ms + domain.gap_ms - self._lead_ms)

    def blocked(self, domain: HeldDomain) -> None:
        """Ask again when the domain's pause is over."""
        domain.waiting_for = WaitingReason.DOMAIN_BLOCKED
        self._slot_at(domain.id, domain.blocked_until_ms)

    async def _know_jobs(self, claims: list[DomainClaim]) -> dict[int, tuple[Handler, JobFacts]]:
        """Return handler and facts of each job claimed from; as a rule they are known already."""
        job_ids = {task[1] for claim in claims for task in claim.tasks}
        known = self._jobs.peek_many(job_ids)
        if len(known) < len(job_ids):
            known |= await self._load_jobs(sorted(job_ids - known.keys()))
        jobs = {}
        for job_id, facts in known.items():
            handler = self._registry.get(facts.handler)
            if handler is None:
                raise AssertionError(facts.handler)
            jobs[job_id] = (handler, facts)
        return jobs

    async def _load_jobs(self, job_ids: list[int]) -> dict[int, JobFacts]:
        try:
            loaded = await self._jobs.get_many(job_ids)
            unknown = [job_id for job_id in job_ids if job_id not in loaded]
            for job_id in unknown:
                # Tasks of it were claimed, so what says that it does not exist is older than it.
                self._jobs.invalidate(job_id, InvalidationReason.CREATED)
            return loaded | await self._jobs.get_many(unknown) if unknown else loaded
        except LoadFailed as failed:
            if isinstance(failed.__cause__, StoreUnavailable | TimeoutError):
                # To be waited for, as when the claim itself had met it.
                raise StoreUnavailable(str(failed)) from failed
            raise

    def end(self, domain: HeldDomain, task: Task, outcome: Outcome | None) -> None:
        """Take back the slot of a handler that ended; an interrupted task can be claimed again."""
        domain.ended(task.job_id)
        if outcome is None:
            domain.put_back(task.id, task.job_id)
        if domain.recheck or outcome is None:
            self.mark_due(domain.id)
            return
        if domain.emptied and not domain.running:
            domain.idle_since_ms = monotonic_ms()
        self.slot_freed()
