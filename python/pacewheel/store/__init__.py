"""PostgreSQL, the one truth: the only package that speaks to it.

`Store` is what the engine composes: one work pool and the single connections of the other roles,
with the statements of sql/ behind methods of the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.outage import Outage
from pacewheel.store.changes import PostgresChanges
from pacewheel.store.counters import PostgresCounters
from pacewheel.store.explanations import PostgresExplanations
from pacewheel.store.faults import safe_dsn
from pacewheel.store.hinter import Hinter
from pacewheel.store.jobs import PostgresJobs
from pacewheel.store.leases import PostgresLeases
from pacewheel.store.listener import PostgresListener
from pacewheel.store.migrate import migrate, pending
from pacewheel.store.overview import PostgresOverview
from pacewheel.store.pool import WorkPool
from pacewheel.store.queries import load_queries
from pacewheel.store.raises import PostgresRaises
from pacewheel.store.reports import PostgresReports
from pacewheel.store.retention import PostgresRetention
from pacewheel.store.schedules import PostgresSchedules
from pacewheel.store.shares import LEAST, ConnectionShare
from pacewheel.store.tasks import PostgresTasks

if TYPE_CHECKING:
    from pacewheel.config import Config
    from pacewheel.metrics import Metrics

__all__ = ["Store", "migrate", "pending"]


class Store:
    """The database as the engine sees it."""

    def __init__(self, dsn: str, *, config: Config, metrics: Metrics) -> None:
        def on_error(sqlstate_class: str) -> None:
            metrics.database_errors.labels(sqlstate_class).inc()

        outage = Outage()
        pooler = config.pooler
        queries = load_queries(config.schema)
        pool = WorkPool(
            dsn,
            # A process that only creates and enqueues is no worker and has no share: it makes do
            # with what every share leaves free.
            size_max=config.pool_max if pooler else min(config.pool_max, LEAST),
            idle_max=config.pool_idle_max,
            pooler=pooler,
            metrics=metrics,
            on_error=on_error,
            outage=outage,
        )
        self._pool = pool
        self._queries = queries
        self.hinter = Hinter(pool, queries, metrics)
        self.tasks = PostgresTasks(pool, queries, self.hinter)
        self.jobs = PostgresJobs(pool, queries, self.tasks, self.hinter)
        self.changes = PostgresChanges(pool, queries, self.jobs, self.tasks, self.hinter)
        self.explanations = PostgresExplanations(pool, queries, self.jobs)
        self.overview = PostgresOverview(pool, queries, self.jobs, self.explanations)
        self.reports = PostgresReports(pool, queries)
        self.raises = PostgresRaises(pool, queries, self.hinter)
        self.counters = PostgresCounters(pool, queries)
        self.retention = PostgresRetention(pool, queries)
        self.schedules = PostgresSchedules(pool, queries, self.tasks, self.hinter)
        share = ConnectionShare(
            pool,
            where=safe_dsn(dsn),
            pool_max=config.pool_max,
            reserve=config.reserve_connections,
            pooler=pooler,
        )
        single_dsn = config.direct_dsn or dsn
        deaf = pooler and config.direct_dsn is None
        self.leases = PostgresLeases(
            single_dsn,
            queries,
            self.hinter,
            pooler=deaf,
            on_error=on_error,
            share=share,
            outage=outage,
        )
        self.listener = PostgresListener(single_dsn, config.schema, pool, queries, pooler=deaf)

    async def open(self) -> None:
        """Connect the work pool; the other roles connect when they are first needed."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self.hinter.close()
        await self.listener.close()
        await self.leases.close()
        await self._pool.close()

    def pool_headroom(self) -> float:
        """Return which share of the connections for work is free."""
        return self._pool.headroom()

    async def ensure_partitions(self, days_ahead: int) -> int:
        """Create the daily partitions of results that are missing; return how many."""
        row = await self._pool.fetchrow(self._queries["ensure_partitions"], days_ahead)
        return 0 if row is None else row["created"]
