"""Leaser: the process's lease, and which domains it covers.

Owns the worker's row, its heartbeat, and the taking and giving back of domains. Promises that the
process starts nothing once its lease may have run out: `Held.lease_valid` turns false `margin_s`
before the moment the database would see it expire, counted from the *sending* of the last
successful heartbeat on a clock that runs through a suspend. A dead owner's domains are taken over
with what it left in flight, which is settled as `worker_lost` under the new epoch. Shares are
equal: a process takes up to its share at once and gives surplus back, when others are hungry, as
soon as what runs has ended. So it does with a domain in which work waits for a handler that only
others have: they take turns.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.clock import lease_clock_s, monotonic_ms
from pacewheel.errors import StoreError
from pacewheel.held import HeldDomain
from pacewheel.logs import Logger
from pacewheel.metrics.domains import DomainReading
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pacewheel.held import Held
    from pacewheel.metrics import Metrics
    from pacewheel.ports import Heartbeat, LeasedDomain, LeaseStore, LostTask
    from pacewheel.registry import Registry

log = Logger("leaser")

HINT_PAUSE_S = 0.01
# So often a process looks for work in its domains that only others can do.
TURN_S = 10.0


class Leaser(Service):
    """Registers, renews, leases, balances, releases."""

    def __init__(
        self,
        *,
        store: LeaseStore,
        held: Held,
        registry: Registry,
        metrics: Metrics,
        on_leased: Callable[[LeasedDomain], None],
        on_lost_task: Callable[[LostTask], None],
        on_dropped: Callable[[HeldDomain], None],
        all_ended: Callable[[], Awaitable[None]],
        capacity: int,
        lease_ttl_s: float,
        lease_margin_s: float,
        heartbeat_s: float,
        horizon_ms: int,
        idle_release_s: float,
        domains_max: int,
    ) -> None:
        super().__init__()
        self._store = store
        self._held = held
        self._registry = registry
        self._metrics = metrics
        self._on_leased = on_leased
        self._on_lost_task = on_lost_task
        self._on_dropped = on_dropped
        self._all_ended = all_ended
        self._capacity = capacity
        self._lease_ttl_s = lease_ttl_s
        self._lease_margin_s = lease_margin_s
        self._heartbeat_s = heartbeat_s
        self._horizon_ms = horizon_ms
        self._idle_release_s = idle_release_s
        self._domains_max = domains_max
        self._share = self._share_low = domains_max
        self._missing = 0
        self._others = False
        self._draining = False
        self._unreleased: list[HeldDomain] = []
        """Held no longer, and not known to be released: the answer failed, or was not waited for."""
        self._soon = asyncio.Event()
        self._next_beat_s = 0.0
        self._beaten_s: float | None = None
        """When the last successful heartbeat was sent."""
        self._spare_until_s = float("-inf")
        self._next_turn_s = 0.0
        self._others_turn: dict[int, float] = {}
        """Until when a domain is passed over, by the lease clock."""
        metrics.domains.read = self._read_domains

    def spare_others(self) -> None:
        """Declare nobody dead for the length of a lease: the database was away, perhaps for all."""
        self._spare_until_s = lease_clock_s() + self._lease_ttl_s

    def lease_soon(self) -> None:
        """Look for domains to lease within milliseconds (a hint came)."""
        self._soon.set()

    async def _loop(self) -> None:
        while True:
            wait_s = self._next_beat_s - lease_clock_s()
            if wait_s > 0:
                try:
                    async with asyncio.timeout(wait_s):
                        await self._soon.wait()
                except TimeoutError:
                    continue
                self._soon.clear()
                await self._look()
                # Hints that come together are served together.
                await asyncio.sleep(HINT_PAUSE_S * random.uniform(0.5, 1.5))
            else:
                self._next_beat_s = lease_clock_s() + self._heartbeat_s * random.uniform(0.9, 1.0)
                await self.run_once()

    async def run_once(self) -> int:
        """Beat, see to the dead, lease and give back; return how many domains are held."""
        beat = await self._beat()
        if beat.expired and lease_clock_s() >= self._spare_until_s:
            dead = await self._store.declare_dead()
            if dead:
                self._metrics.workers_declared_dead.inc(len(dead))
                log.say(events.OTHERS_DECLARED_DEAD, workers=dead)
        # Before anything is given back, or what is shed for others would be taken again at once.
        if beat.active:
            await self._lease(self._share)
        if beat.missing:
            surplus = self._working() - self._share
            # Where shares can't be equal, those with one more give it, one each and no more than is
            # missing.
            if surplus <= 0 and self._working() > self._share_low and beat.ahead < beat.missing:
                surplus = 1
            self._shed(surplus)
        self._shed_idle()
        await self._end_turns()
        await self._give_back()
        return len(self._held)

    async def _look(self) -> None:
        """Answer a hint: a domain to lease, or one that became empty and is to be given back."""
        await self._give_back()
        if self._others:
            # The share was counted at the last beat; the hint says that there may be more to share.
            await self._beat()
        # What comes free at once is for those who lack; what they leave is found at the next beat.
        await self._lease(self._share_low if self._missing else self._share)

    async def _beat(self) -> Heartbeat:
        lease_ms = int(self._lease_ttl_s * 1000)
        while True:
            if self._held.worker_id is None:
                sent_s = lease_clock_s()
                self._held.worker_id = await self._store.register_worker(
                    self._capacity, lease_ms, self._registry.names()
                )
                self._extend(sent_s)
                log.say(events.WORKER_REGISTERED, worker_id=self._held.worker_id)
            sent_s = lease_clock_s()
            beat = await self._store.heartbeat(self._held.worker_id, lease_ms, self._working())
            if beat is not None:
                self._note_beat(sent_s)
                self._others = beat.alive > 1
                # Alone, everything is ours, whatever has come since.
                share = -(-beat.active // beat.alive) if self._others else self._domains_max
                self._share = min(self._domains_max, share)
                self._share_low = min(self._share, max(1, beat.active // beat.alive))
                self._missing = beat.missing
                return beat
            log.say(events.WORKER_DECLARED_DEAD, worker_id=self._held.worker_id)
            self._held.worker_id = None
            self._others_turn.clear()
            for domain in self._held.drop_all():
                self._on_dropped(domain)
            # Its handlers are being stopped; until they have ended, a domain leased anew could run
            # more than its jobs may.
            await self._all_ended()

    def _note_beat(self, sent_s: float) -> None:
        """Extend the lease; after a silence as long as half of it, give the others time to renew theirs."""
        before_s, self._beaten_s = self._beaten_s, sent_s
        if before_s is not None and lease_clock_s() - before_s > self._lease_ttl_s / 2:
            self.spare_others()
        self._extend(sent_s)

    def _extend(self, sent_s: float) -> None:
        self._held.extend_lease(sent_s + self._lease_ttl_s - self._lease_margin_s)

    def _read_domains(self) -> list[DomainReading]:
        now_ms = monotonic_ms()
        return [
            DomainReading(
                domain.gap_ms,
                domain.is_working,
                domain.pace.is_open or domain.blocked_until_ms > now_ms,
            )
            for domain in self._held
        ]

    def _working(self) -> int:
        """How many domains have something to do; only these count in the shares."""
        return sum(domain.is_working for domain in self._held)

    async def _lease(self, share: int) -> None:
        room = min(share - self._working(), self._domains_max - len(self._held))
        if (
            room <= 0
            or self._draining
            or self._held.worker_id is None
            or not self._held.lease_valid()
        ):
            return
        now_s = lease_clock_s()
        self._others_turn = {
            domain_id: until_s
            for domain_id, until_s in self._others_turn.items()
            if until_s > now_s
        }
        leased = await self._store.lease_domains(
            self._held.worker_id,
            self._registry.names(),
            self._horizon_ms,
            room,
            [*(domain.id for domain in self._held), *self._others_turn],
        )
        left_running = {domain.id: domain.in_flight for domain in leased if domain.in_flight}
        lost = await self._store.load_tasks(left_running) if left_running else []
        for domain in leased:
            held = HeldDomain(domain.id, domain.name, domain.epoch, self._held, pace=domain.pace)
            self._held.add(held)
        for task in lost:
            domain_held = self._held.get(task.domain_id)
            if domain_held is not None:
                domain_held.unsettled[task.id] = task.job_id
                self._on_lost_task(task)
        for domain in leased:
            self._on_leased(domain)
        if leased:
            log.say(events.DOMAINS_LEASED, domains=len(leased), held=len(self._held))
        if lost:
            self._metrics.tasks_recovered.inc(len(lost))
            log.say(events.TASKS_RECOVERED, tasks=len(lost))

    def _shed(self, surplus: int) -> None:
        by_load = sorted(self._held, key=lambda domain: len(domain.unsettled))
        busy = [domain for domain in by_load if domain.is_working]
        staying = [domain for domain in busy if not domain.releasing]
        for domain in staying[: max(0, surplus - (len(busy) - len(staying)))]:
            domain.releasing = True

    def _shed_idle(self) -> None:
        before_ms = monotonic_ms() - self._idle_release_s * 1000
        for domain in self._held:
            if (
                domain.idle_since_ms is not None
                and not domain.unsettled
                and domain.idle_since_ms < before_ms
                and domain.wake_at_ms is None
            ):
                domain.releasing = True

    async def _end_turns(self) -> None:
        """Mark what is to be given back because others wait for their turn."""
        if not self._held or lease_clock_s() < self._next_turn_s:
            return
        self._next_turn_s = lease_clock_s() + TURN_S
        ids = [domain.id for domain in self._held]
        for domain_id in await self._store.find_unserved(ids, self._registry.names()):
            domain = self._held.get(domain_id)
            if domain is not None:
                domain.releasing = True
                # Noted anew at the next look, if what runs takes longer.
                self._others_turn[domain_id] = lease_clock_s() + 2 * TURN_S

    async def _give_back(self) -> None:
        empty = [domain for domain in self._held if domain.releasing and not domain.unsettled]
        if empty or self._unreleased:
            await self._release(empty)

    async def _release(self, domains: Sequence[HeldDomain]) -> None:
        if self._held.worker_id is None:
            return
        for domain in domains:
            self._held.drop(domain.id)
            self._on_dropped(domain)
            if domain.id in self._others_turn:
                # Long enough for them to hear of it; then whoever comes first.
                self._others_turn[domain.id] = lease_clock_s() + 2 * self._heartbeat_s
        self._unreleased.extend(domains)
        # What was released already, or leased again since, has another epoch or owner by now.
        releasing = list(self._unreleased)
        await self._store.release_domains(
            self._held.worker_id,
            [domain.id for domain in releasing],
            [domain.epoch for domain in releasing],
            [domain.slot_in_ms() for domain in releasing],
        )
        self._unreleased = [domain for domain in self._unreleased if domain not in releasing]
        if releasing:
            log.say(events.DOMAINS_RELEASED, domains=len(releasing), held=len(self._held))

    async def drain(self) -> None:
        """Lease nothing more, and give each domain back as soon as nothing of it runs."""
        self._draining = True
        for domain in self._held:
            domain.releasing = True
        if self._held.worker_id is not None:
            try:
                await self._store.drain_worker(self._held.worker_id)
                await self._give_back()
            except StoreError as error:
                log.say(events.RELEASE_FAILED, error=error)

    async def leave(self) -> None:
        """Give everything back and retire; call when nothing runs any more."""
        if self._held.worker_id is None:
            return
        try:
            await self._release(list(self._held))
            await self._store.retire_worker(self._held.worker_id)
        except StoreError as error:
            log.say(events.RELEASE_FAILED, error=error)
        self._held.worker_id = None
