"""PostgreSQL, the one truth: the only package that speaks to it.

`Store` is what the engine composes: one work pool and the single connections of the other roles,
with the statements of sql/ behind methods of the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.store.changes import PostgresChanges
from pacewheel.store.counters import PostgresCounters
from pacewheel.store.explanations import PostgresExplanations
from pacewheel.store.hinter import Hinter
from pacewheel.store.jobs import PostgresJobs
from pacewheel.store.leases import PostgresLeases
from pacewheel.store.listener import PostgresListener
from pacewheel.store.migrate import migrate, pending
from pacewheel.store.pool import WorkPool
from pacewheel.store.queries import load_queries
from pacewheel.store.raises import PostgresRaises
from pacewheel.store.tasks import PostgresTasks

if TYPE_CHECKING:
    from pacewheel.metrics import Metrics

__all__ = ["Store", "migrate", "pending"]


class Store:
    """The database as the engine sees it."""

    def __init__(
        self, dsn: str, *, schema: str, pool_max: int, pooler: bool, metrics: Metrics
    ) -> None:

        def on_error(known: str) -> None:
            metrics.database_errors.labels(known).inc()

        queries = load_queries(schema)
        self._pool = WorkPool(dsn, size_max=pool_max, pooler=pooler, on_error=on_error)
        self._queries = queries
        self.hinter = Hinter(self._pool, queries, metrics)
        self.tasks = PostgresTasks(self._pool, queries, self.hinter)
        self.jobs = PostgresJobs(self._pool, queries, self.tasks, self.hinter)
        self.changes = PostgresChanges(self._pool, queries, self.jobs, self.tasks, self.hinter)
        self.explanations = PostgresExplanations(self._pool, queries, self.jobs)
        self.raises = PostgresRaises(self._pool, queries, self.hinter)
        self.counters = PostgresCounters(self._pool, queries)
        self.leases = PostgresLeases(dsn, queries, self.hinter, pooler=pooler, on_error=on_error)
        self.listener = PostgresListener(dsn, schema, self._pool, queries, pooler=pooler)

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
