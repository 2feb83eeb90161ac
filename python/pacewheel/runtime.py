"""One running process: its services, wired together, started and drained in order.

Owns the wiring: which service is told what another has found out, since services don't know one
another. Each callback here is one arrow of the picture in ARCHITECTURE.md.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pacewheel.clock import monotonic_ms
from pacewheel.held import Held
from pacewheel.model import TaskState, WaitingReason
from pacewheel.outcomes import said_of, settlement_of, settlement_of_lost
from pacewheel.pacing import CALM
from pacewheel.registry import ATTEMPTS_MAX, Handler
from pacewheel.services.dispatcher import Dispatcher
from pacewheel.services.keeper import Keeper
from pacewheel.services.leaser import Leaser
from pacewheel.services.notifier import Notifier
from pacewheel.services.settler import Settler
from pacewheel.services.sweeper import Sweeper
from pacewheel.services.waker import Waker
from pacewheel.services.worker_pool import CANCELLED, LEASE_LOST, SHUTDOWN, WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pacewheel.config import Config
    from pacewheel.held import HeldDomain
    from pacewheel.metrics import Metrics
    from pacewheel.model import Outcome, Task
    from pacewheel.pacing import Lesson, Pace
    from pacewheel.ports import LeasedDomain, LostTask, Settlement
    from pacewheel.registry import Registry
    from pacewheel.service import Service
    from pacewheel.store import Store

log = logging.getLogger("pacewheel.runtime")

TIMERS_A_DOMAIN = 2
SETTLE_GRACE_MIN_S = 1.0


class Runtime:
    """The services of one process on one store."""

    def __init__(
        self,
        *,
        config: Config,
        store: Store,
        registry: Registry,
        metrics: Metrics,
        ensure_running: Callable[[], None] | None,
        on_failure: Callable[[str, Exception], None],
    ) -> None:
        self._registry = registry
        self._metrics = metrics
        self._held = Held(
            read_document=store.tasks.get_document,
            on_departed=self._on_departed,
        )
        horizon_ms = int(config.horizon_s * 1000)
        self._pool = WorkerPool(capacity=config.capacity, on_end=self._on_end)
        self._settler = Settler(
            store=store.tasks,
            held=self._held,
            metrics=self._metrics,
            on_lost=self._on_lost,
            on_settled=self._on_settled,
            on_room=self._on_room,
            rows_max=config.settle_rows_max,
            queue_max=config.settle_queue_max,
        )
        self._waker = Waker(
            store=store.tasks,
            held=self._held,
            mark_due=self._on_due,
            timers_max=config.domains_max * TIMERS_A_DOMAIN,
            horizon_ms=horizon_ms,
        )
        self._dispatcher = Dispatcher(
            store=store.tasks,
            held=self._held,
            registry=self._registry,
            free=lambda: min(self._pool.free(), self._settler.room()),
            submit=self._pool.submit,
            wake_workers=self._pool.wake,
            slot_at=self._waker.slot_at,
            ready_in=self._waker.ready_in,
            on_lost=self._on_lost,
            lead_ms=config.lead_ms,
            waits=metrics.waits,
        )
        self._own(config, store, horizon_ms)
        self._services: list[Service] = [self._leaser, self._settler, self._pool, self._waker]
        self._services += [self._dispatcher, self._notifier, self._sweeper]
        if ensure_running is not None:
            self._services.append(Keeper(ensure_running=ensure_running))
        for service in self._services:
            service.on_failure = on_failure

    def _own(self, config: Config, store: Store, horizon_ms: int) -> None:
        """Build the services that decide which domains are ours."""
        self._leaser = Leaser(
            store=store.leases,
            held=self._held,
            registry=self._registry,
            metrics=self._metrics,
            on_leased=self._on_leased,
            on_lost_task=self._on_lost_task,
            on_dropped=self._on_dropped,
            all_ended=self._pool.all_ended,
            capacity=config.capacity,
            lease_ttl_s=config.lease_ttl_s,
            lease_margin_s=config.lease_margin_s,
            heartbeat_s=config.heartbeat_s,
            horizon_ms=horizon_ms,
            idle_release_s=config.idle_release_s,
            domains_max=config.domains_max,
        )
        self._notifier = Notifier(
            listen=store.listener.listen,
            on_enqueued=self._on_enqueued,
            on_released=self._leaser.lease_soon,
            on_cancelled=lambda job_id: self._pool.stop_tasks(CANCELLED, job_id=job_id),
            on_listening=self._look_at_all,
        )
        self._sweeper = Sweeper(
            look_at_all=self._look_at_all,
            ensure_partitions=store.ensure_partitions,
            sweep_s=config.sweep_s,
        )

    def spare_others(self) -> None:
        """Declare nobody dead for a while; call before the start when the database was away."""
        self._leaser.spare_others()

    async def start(self) -> None:
        """Register and lease, then start every service; tasks can run when it returns.

        Raises:
            StoreError: the database failed meanwhile; nothing runs.
        """
        await self._leaser.run_once()
        for service in self._services:
            await service.start()

    async def drain(self, grace_s: float) -> None:
        """End in order.

        No new claims, running tasks get `grace_s`, outcomes are settled, domains are given back.
        """
        await self._leaser.drain()
        await self._notifier.stop()
        await self._sweeper.stop()
        await self._dispatcher.stop()
        interrupted = await self._pool.drain(grace_s)
        if interrupted:
            log.info("%d tasks were interrupted and are pending again", interrupted)
        await self._settler.drain(max(grace_s, SETTLE_GRACE_MIN_S))
        for service in reversed(self._services):
            await service.stop()
        await self._leaser.leave()

    def interrupt(self) -> None:
        """Stop all handlers now; their tasks are pending again."""
        self._pool.stop_tasks(SHUTDOWN)

    def unsettled(self) -> int:
        """How many tasks of this process are claimed and not settled."""
        return self._held.unsettled()

    def _on_due(self, domain_id: int) -> None:
        self._dispatcher.mark_due(domain_id)

    def _on_room(self) -> None:
        self._dispatcher.slot_freed()

    def _on_departed(self, domain: HeldDomain) -> None:
        self._dispatcher.departed(domain)

    def _on_end(
        self, task: Task, handler: Handler, outcome: Outcome | None, duration_ms: float
    ) -> None:
        domain = self._held.get(task.domain_id)
        # A handler of an earlier lease of the same domain has no say in this one.
        if domain is None or domain is not task.lease:
            self._dispatcher.slot_freed()
            return
        if outcome is not None:
            settlement = settlement_of(task, handler, outcome, duration_ms)
            settlement.lesson = self._learn(domain, handler, outcome, duration_ms)
            self._settler.add(settlement)
        else:
            self._metrics.attempts.labels("interrupted").inc()
        self._dispatcher.end(domain, task, outcome)

    def _learn(
        self, domain: HeldDomain, handler: Handler, outcome: Outcome, duration_ms: float
    ) -> Lesson | None:
        said, block_s = said_of(outcome, handler), outcome.block_domain_s
        if domain.pace is CALM and not said.blocking and not said.failed and block_s is None:
            return None
        began_ms, before = monotonic_ms() - duration_ms, domain.pace
        lesson = domain.learn(said, handler.breaker, began_ms=began_ms, block_s=block_s)
        if lesson is None:
            return None
        if lesson.block_ms:
            self._dispatcher.blocked(domain)
        self._count(domain, before, lesson)
        return lesson

    def _count(self, domain: HeldDomain, before: Pace, lesson: Lesson) -> None:
        """Count and log what changed of a domain's pace."""
        pace = lesson.pace
        if pace.is_open and pace.failures > before.failures:
            self._metrics.breaker_openings.inc()
            log.info(
                "%s failed %d times in a row: nothing of it starts for %g s",
                domain.name,
                pace.failures,
                lesson.block_ms / 1000,
            )
        if pace.adaptive_delay_ms != before.adaptive_delay_ms:
            is_slower = pace.adaptive_delay_ms > before.adaptive_delay_ms
            self._metrics.pace_changes.labels("slower" if is_slower else "faster").inc()
            log.debug("%s: adaptive delay is %d ms now", domain.name, pace.adaptive_delay_ms)

    def _on_settled(self, domain: HeldDomain, batch: Sequence[Settlement]) -> None:
        for item in batch:
            if item.status is TaskState.WAITING and item.retry_in_ms is not None:
                self._waker.ready_in(domain.id, item.retry_in_ms)
                self._metrics.waits.observe_ms(WaitingReason.RETRY_BACKOFF, (item.retry_in_ms,))
            if item.outcome.discovered or item.outcome.robots_delay_ms is not None:
                self._dispatcher.mark_due(domain.id)
        if domain.releasing and not domain.unsettled:
            self._leaser.lease_soon()

    def _on_leased(self, domain: LeasedDomain) -> None:
        if domain.wake_in_ms is not None:
            self._waker.ready_in(domain.id, max(0.0, domain.wake_in_ms))
        self._dispatcher.mark_due(domain.id)

    def _on_lost_task(self, task: LostTask) -> None:
        # A task of a handler that isn't registered here waits for a process that knows its policy.
        handler = self._registry.get(task.handler) or Handler(
            task.handler, _never, attempts=ATTEMPTS_MAX
        )
        self._settler.add(settlement_of_lost(task, handler))

    def _on_lost(self, domain_id: int) -> None:
        """Another process owns the domain by now."""
        domain = self._held.drop(domain_id)
        if domain is not None:
            log.warning("the lease of %s is lost", domain.name)
            self._on_dropped(domain)

    def _on_dropped(self, domain: HeldDomain) -> None:
        self._waker.forget(domain.id)
        self._dispatcher.forget(domain.id)
        self._settler.forget(domain.id)
        self._pool.stop_tasks(LEASE_LOST, domain_id=domain.id)

    def _on_enqueued(self, domain_ids: Sequence[int]) -> None:
        for domain_id in domain_ids:
            if self._held.get(domain_id):
                self._dispatcher.mark_due(domain_id)
            else:
                self._leaser.lease_soon()

    def _look_at_all(self) -> None:
        for domain in self._held:
            self._dispatcher.mark_due(domain.id)
        self._leaser.lease_soon()


async def _never(_task: object) -> None:
    raise AssertionError
