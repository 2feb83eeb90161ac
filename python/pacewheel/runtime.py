"""One running process: its services, wired together, started and drained in order.

Owns the wiring: which service is told what another has found out, since services don't know one
another. Each callback here is one arrow of the picture in ARCHITECTURE.md.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from pacewheel import events, memory
from pacewheel.held import Held
from pacewheel.housekeeping import Housekeeping
from pacewheel.lessons import Lessons
from pacewheel.logs import Logger, as_worker
from pacewheel.model import TaskState, WaitingReason
from pacewheel.outcomes import settlement_of, settlement_of_lost
from pacewheel.ports import InvalidationReason
from pacewheel.registry import ATTEMPTS_MAX, Handler
from pacewheel.services.canceller import Canceller
from pacewheel.services.dispatcher import Dispatcher
from pacewheel.services.keeper import Keeper
from pacewheel.services.leaser import Leaser
from pacewheel.services.notifier import Notifier
from pacewheel.services.propagator import Propagator
from pacewheel.services.scaler import Scaler
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
    from pacewheel.ports import LeasedDomain, LostTask, Settlement
    from pacewheel.registry import Registry
    from pacewheel.service import Service
    from pacewheel.services.job_cache import JobInfoCache
    from pacewheel.store import Store

log = Logger("runtime")

TIMERS_A_DOMAIN = 2
SETTLE_GRACE_MIN_S = 1.0
MB = 2**20


class Runtime:
    """The services of one process on one store."""

    def __init__(
        self,
        *,
        config: Config,
        store: Store,
        job_cache: JobInfoCache,
        registry: Registry,
        metrics: Metrics,
        ensure_running: Callable[[], None] | None,
        on_failure: Callable[[str, Exception], None],
    ) -> None:
        self._registry = registry
        self._metrics = metrics
        self._lessons = Lessons(metrics)
        self._job_cache = job_cache
        self.held = Held(
            store=store.tasks,
            read_job=job_cache.get,
            on_departed=self._on_departed,
        )
        self._keep_true(config, store)
        self._pool = WorkerPool(
            capacity=config.capacity, on_end=self._on_end, on_room=self._on_room, metrics=metrics
        )
        self._settler = Settler(
            store=store.tasks,
            held=self.held,
            metrics=metrics,
            on_lost=self._on_lost,
            on_settled=self._on_settled,
            on_raises=self._propagator.add,
            on_room=self._on_room,
            rows_max=config.settle_rows_max,
            queue_max=config.settle_queue_max,
        )
        self._waker = Waker(
            store=store.tasks,
            held=self.held,
            mark_due=self._on_due,
            timers_max=config.domains_max * TIMERS_A_DOMAIN,
            horizon_ms=int(config.horizon_s * 1000),
            metrics=metrics,
        )
        self._dispatcher = Dispatcher(
            store=store.tasks,
            jobs=job_cache,
            held=self.held,
            registry=self._registry,
            free=lambda: min(self._pool.free(), self._settler.room()),
            spare=self._pool.spare,
            submit=self._pool.submit,
            wake_workers=self._pool.wake,
            slot_at=self._waker.slot_at,
            ready_in=self._waker.ready_in,
            nothing_waits=self._waker.nothing_waits,
            on_lost=self._on_lost,
            lead_ms=config.lead_ms,
            metrics=metrics,
        )
        self._own(config, store)
        self._scale(config, store)
        self._services: list[Service] = [self._leaser, self._settler, self._pool, self._waker]
        self._services += [self._dispatcher, self._canceller, self._notifier, self._sweeper]
        self._services += [self._propagator, self._scaler, *self._housekeeping.services]
        if ensure_running is not None:
            self._services.append(Keeper(ensure_running=ensure_running))
        store.hinter.tell_here = self._on_own_hint
        for service in self._services:
            service.on_failure = on_failure
            service.on_crash = metrics.service_crashes.labels(service.name).inc

    def _keep_true(self, config: Config, store: Store) -> None:
        """Build the services that bring rows up to date: priorities, counters, schedules."""
        self._housekeeping = Housekeeping(
            config=config, store=store, metrics=self._metrics, worker_id=self.worker_id
        )
        self._propagator = Propagator(
            store=store.raises,
            mark_due=self._on_due,
            metrics=self._metrics,
            entries_max=config.raises_max,
            warm_ms=int(config.warm_raise_s * 1000),
            cold_ms=int(config.cold_raise_s * 1000),
        )

    def _own(self, config: Config, store: Store) -> None:
        """Build the services that decide which domains are ours."""
        self._leaser = Leaser(
            store=store.leases,
            held=self.held,
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
            horizon_ms=int(config.horizon_s * 1000),
            idle_release_s=config.idle_release_s,
            domains_max=config.domains_max,
        )
        self._canceller = Canceller(
            running_for=self._pool.running_for,
            find_ended=store.tasks.find_ended,
            stop_tasks=self._on_stopped,
        )
        self._notifier: Notifier = Notifier(
            listen=store.listener.listen,
            on_enqueued=self._on_enqueued,
            on_raised=self._on_raised,
            on_released=self._leaser.lease_soon,
            on_due=self._on_due_again,
            on_paced=self._dispatcher.ask_anew,
            on_changed=self._on_changed,
            on_cancelled=self._on_cancelled,
            on_stopped=self._on_stopped,
            on_scheduled=self._housekeeping.scheduler.look_soon,
            on_missed=self._on_missed,
            metrics=self._metrics,
        )
        self._sweeper: Sweeper = Sweeper(
            look_at_all=self._look_at_all,
            ensure_partitions=store.ensure_partitions,
            hears=self._notifier.hears,
            sweep_s=config.sweep_s,
            metrics=self._metrics,
        )

    def _scale(self, config: Config, store: Store) -> None:
        """Build the service that sizes the worker pool."""

        def set_capacity(slots: int) -> None:
            self._pool.set_capacity(slots)
            self._dispatcher.slot_freed()

        self._scaler: Scaler = Scaler(
            set_capacity=set_capacity,
            take_busy_max=self._pool.take_busy_max,
            take_shortage_ms=self._dispatcher.take_shortage_ms,
            has_due=self._dispatcher.has_due,
            look_ahead=self._dispatcher.look_ahead,
            headroom=lambda: min(
                store.pool_headroom(), self._settler.room() / config.settle_queue_max
            ),
            memory_used=memory.used_bytes,
            memory_limit=config.memory_max_mb * MB or memory.limit_bytes(),
            slots_min=config.capacity_min,
            slots_max=config.capacity,
            interval_s=config.scale_interval_s,
            metrics=self._metrics,
        )

    def spare_others(self) -> None:
        """Declare nobody dead for a while; call before the start when the database was away."""
        self._leaser.spare_others()

    async def start(self) -> None:
        """Register and lease, then start every service; tasks can run when it returns.

        Raises:
            StoreError: the database failed meanwhile; nothing runs.
        """
        with as_worker(self.worker_id):
            await self._leaser.run_once()
            for service in self._services:
                await service.start()

    def worker_id(self) -> int | None:
        """Return the id of this process among the workers, once it has one."""
        return self.held.worker_id

    async def drain(self, grace_s: float) -> None:
        """End in order.

        No new claims, running tasks get `grace_s`, outcomes are settled, raises are written,
        domains are given back.
        """
        self._propagator.hurry()
        await self._leaser.drain()
        await self._notifier.stop()
        await self._sweeper.stop()
        await self._scaler.stop()
        await self._housekeeping.stop()
        await self._dispatcher.stop()
        interrupted = await self._pool.drain(grace_s)
        if interrupted:
            log.say(events.TASKS_INTERRUPTED, tasks=interrupted)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + max(grace_s, SETTLE_GRACE_MIN_S)
        await self._settler.drain(end_s - loop.time())
        await self._propagator.drain(max(0.0, end_s - loop.time()))
        for service in reversed(self._services):
            await service.stop()
        await self._leaser.leave()

    def interrupt(self) -> None:
        """Stop all handlers now; their tasks are pending again."""
        self._pool.stop_tasks(SHUTDOWN)

    def unsettled(self) -> int:
        """How many tasks of this process are claimed and not settled."""
        return self.held.unsettled()

    def _on_due(self, domain_id: int) -> None:
        self._dispatcher.mark_due(domain_id)

    def _on_room(self) -> None:
        self._dispatcher.slot_freed()

    def _on_departed(self, domain: HeldDomain) -> None:
        self._dispatcher.departed(domain)

    def _on_end(
        self, task: Task, handler: Handler, outcome: Outcome | None, duration_ms: float
    ) -> None:
        domain = self.held.get(task.domain_id)
        # A handler of an earlier lease of the same domain has no say in this one.
        if domain is None or domain is not task.lease:
            self._dispatcher.slot_freed()
            return
        if outcome is not None:
            settlement = settlement_of(task, handler, outcome, duration_ms)
            settlement.lesson = self._lessons.learn(domain, handler, outcome, duration_ms)
            if settlement.lesson is not None and settlement.lesson.block_ms:
                self._dispatcher.blocked(domain)
            self._settler.add(settlement)
        else:
            self._metrics.attempts.labels("interrupted").inc()
        self._dispatcher.end(domain, task, outcome)

    def _on_settled(self, domain: HeldDomain, batch: Sequence[Settlement]) -> None:
        for item in batch:
            if item.status is TaskState.WAITING and item.retry_in_ms is not None:
                self._waker.ready_in(domain.id, item.retry_in_ms)
                self._metrics.waits.observe_ms(WaitingReason.RETRY_BACKOFF, (item.retry_in_ms,))
            if (
                item.outcome.discovered
                or item.outcome.robots_delay_ms is not None
                # It may have been retried by now, and the claim that was to take it passed it over.
                or item.status is TaskState.FAILED
            ):
                self._dispatcher.mark_due(domain.id)
        if domain.releasing and not domain.unsettled:
            self._leaser.lease_soon()

    def _on_leased(self, domain: LeasedDomain) -> None:
        if domain.wake_in_ms is not None:
            self._waker.ready_in(domain.id, domain.wake_in_ms)
        self._dispatcher.mark_due(domain.id)
        self._propagator.load([domain.id])

    def _on_lost_task(self, task: LostTask) -> None:
        # A task of a handler that isn't registered here waits for a process that knows its policy.
        handler = self._registry.get(task.handler) or Handler(
            task.handler, _never, attempts=ATTEMPTS_MAX
        )
        self._settler.add(settlement_of_lost(task, handler))

    def _on_lost(self, domain_id: int) -> None:
        """Another process owns the domain by now."""
        domain = self.held.drop(domain_id)
        if domain is not None:
            log.say(events.DOMAIN_LOST, domain=domain.name)
            self._on_dropped(domain)

    def _on_dropped(self, domain: HeldDomain) -> None:
        self._waker.forget(domain.id)
        self._dispatcher.forget(domain.id)
        self._settler.forget(domain.id)
        self._propagator.forget(domain.id)
        self._pool.stop_tasks(LEASE_LOST, domain_id=domain.id)

    def _on_enqueued(self, domain_ids: Sequence[int]) -> None:
        for domain_id in domain_ids:
            if self.held.get(domain_id):
                self._dispatcher.mark_due(domain_id)
            else:
                self._leaser.lease_soon()

    def _on_due_again(self, domain_ids: Sequence[int]) -> None:
        """Look again, at what waits too: tasks may have gone, and their timer with them."""
        for domain_id in domain_ids:
            if self.held.get(domain_id):
                self._waker.look(domain_id)
        self._on_enqueued(domain_ids)

    def _on_raised(self, domain_ids: Sequence[int]) -> None:
        self._propagator.load([one for one in domain_ids if self.held.get(one)])

    def _on_changed(self, job_ids: Sequence[int]) -> None:
        for job_id in job_ids:
            self._job_cache.invalidate(job_id, InvalidationReason.CHANGED)

    def _on_cancelled(self, job_ids: Sequence[int]) -> None:
        for job_id in job_ids:
            self._job_cache.invalidate(job_id, InvalidationReason.CANCELLED)
            self._propagator.forget_job(job_id)
        self._stop_now_and_after_claim(
            partial(self._pool.stop_tasks, CANCELLED, job_ids=frozenset(job_ids))
        )

    def _on_stopped(self, task_ids: Sequence[int]) -> None:
        self._stop_now_and_after_claim(
            partial(self._pool.stop_tasks, CANCELLED, task_ids=frozenset(task_ids))
        )

    def _stop_now_and_after_claim(self, stop: Callable[[], int]) -> None:
        stop()
        self._dispatcher.after_claim(stop)

    def _on_missed(self) -> None:
        """Hints may have been missed."""
        self._job_cache.invalidate_all(InvalidationReason.RECONNECTED)
        self._look_at_all()
        self._canceller.look_soon()
        self._housekeeping.scheduler.look_soon()

    def _on_own_hint(self, verb: str, ids: list[int]) -> list[int]:
        """Take in what this process has done itself; return what is others' business too."""
        match verb:
            case "released":
                return ids
            case "enqueued" if self.held.lease_valid():
                self._on_enqueued(ids)
                return [domain_id for domain_id in ids if not self.held.get(domain_id)]
            case _:
                self._notifier.deliver(verb, ids)
                return ids

    def _look_at_all(self) -> None:
        for domain in self.held:
            self._dispatcher.mark_due(domain.id)
        self._propagator.look_at_all([domain.id for domain in self.held])
        self._leaser.lease_soon()


async def _never(_task: object) -> None:
    raise AssertionError
