"""The services that keep rows true and in bounds, whatever runs: schedules, counters, retention.

Owns their building. None of them is needed for a task to run, so a drain stops them first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.retention import Keep
from pacewheel.services.pruner import Pruner
from pacewheel.services.reconciler import Reconciler
from pacewheel.services.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from pacewheel.config import Config
    from pacewheel.metrics import Metrics
    from pacewheel.service import Service
    from pacewheel.store import Store


class Housekeeping:
    """One process's part in the upkeep of the database."""

    def __init__(
        self,
        *,
        config: Config,
        store: Store,
        metrics: Metrics,
        worker_id: Callable[[], int | None],
    ) -> None:
        self.scheduler = Scheduler(store=store.schedules, metrics=metrics)
        self.reconciler = Reconciler(
            store=store.counters,
            metrics=metrics,
            worker_id=worker_id,
            interval_s=config.reconcile_interval_s,
        )
        self.pruner = Pruner(
            store=store.retention,
            metrics=metrics,
            worker_id=worker_id,
            keep=Keep.of(config),
            interval_s=config.prune_interval_s,
        )
        self.services: list[Service] = [self.reconciler, self.scheduler, self.pruner]

    async def stop(self) -> None:
        """Stop what a drain has no use for; schedules fire until the end."""
        await self.reconciler.stop()
        await self.pruner.stop()
