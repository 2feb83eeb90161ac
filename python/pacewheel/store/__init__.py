"""PostgreSQL, the one truth: the only package that speaks to it.

`Store` is what the engine composes: one work pool and the single connections of the other roles,
with the statements of sql/ behind methods of the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.store.faults import safe_dsn
from pacewheel.store.jobs import PostgresJobs
from pacewheel.store.leases import PostgresLeases
from pacewheel.store.listener import PostgresListener
from pacewheel.store.migrate import migrate, pending
from pacewheel.store.pool import WorkPool
from pacewheel.store.queries import load_queries
from pacewheel.store.shares import LEAST, ConnectionShare
from pacewheel.store.tasks import PostgresTasks

if TYPE_CHECKING:
    from pacewheel.config import Config
    from pacewheel.metrics import Metrics

__all__ = ["Store", "migrate", "pending"]


class Store:
    """The database as the engine sees it."""

    def __init__(self, dsn: str, *, config: Config, metrics: Metrics) -> None:
        pooler = config.pooler
        queries = load_queries(config.schema)
        self._pool = WorkPool(
            dsn,
            # A process that only creates and enqueues is no worker and has no share: it makes do
            # with what every share leaves free.
            size_max=config.pool_max if pooler else min(config.pool_max, LEAST),
            idle_max=config.pool_idle_max,
            pooler=pooler,
            metrics=metrics,
        )
        self._queries = queries
        self.tasks = PostgresTasks(self._pool, queries)
        self.jobs = PostgresJobs(self._pool, queries, self.tasks)
        share = ConnectionShare(
            self._pool,
            where=safe_dsn(dsn),
            pool_max=config.pool_max,
            reserve=config.reserve_connections,
            pooler=pooler,
        )
        single_dsn = config.direct_dsn or dsn
        through_pooler = pooler and config.direct_dsn is None
        self.leases = PostgresLeases(single_dsn, queries, pooler=through_pooler, share=share)
        self.listener = PostgresListener(single_dsn, config.schema, pooler=through_pooler)

    async def open(self) -> None:
        """Connect the work pool; the other roles connect when they are first needed."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self.listener.close()
        await self.leases.close()
        await self._pool.close()

    async def ensure_partitions(self, days_ahead: int) -> int:
        """Create the daily partitions of results that are missing; return how many."""
        row = await self._pool.fetchrow(self._queries["ensure_partitions"], days_ahead)
        return 0 if row is None else row["created"]
