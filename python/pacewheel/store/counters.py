"""Reconciling in SQL: counters against rows, orphans, and what nobody owns, on the work pool.

Owns the turning of rows into `Compared`. Comparing locks nothing; what repairs locks one job, or
the few domains it changes, and looks again under the lock before it writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.model import JobState
from pacewheel.ports import Compared
from pacewheel.store.job_log import say_ended

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pacewheel.ports import CountedJob
    from pacewheel.store.pool import WorkPool

# A million tasks are read in a second or two from memory, in a minute from a slow disk.
COMPARE_TIMEOUT_S = 600.0


class PostgresCounters:
    """`CounterStore` on the work pool."""

    def __init__(self, pool: WorkPool, queries: Mapping[str, str]) -> None:
        self._pool = pool
        self._queries = queries

    async def find_unreconciled(
        self, worker_id: int, age_ms: int, after_domain: int, limit: int
    ) -> list[CountedJob]:
        """Name the jobs that are due in the caller's domains and in those of nobody."""
        rows = await self._pool.fetch(
            self._queries["find_unreconciled"], worker_id, age_ms, after_domain, limit
        )
        return [(row["id"], row["domain_id"], row["total"]) for row in rows]

    async def find_jobs(
        self, ids: Sequence[int] | None, after: int, limit: int
    ) -> list[CountedJob]:
        """Name jobs, all or those asked for, in the order of their ids."""
        rows = await self._pool.fetch(self._queries["find_jobs"], ids, after, limit)
        return [(row["id"], row["domain_id"], row["total"]) for row in rows]

    async def compare_counters(self, jobs: Sequence[CountedJob], *, mark: bool) -> list[Compared]:
        """Compare these jobs; return those that are not in order.

        `mark`: note that they have been compared.
        """
        domain_ids = [domain_id for _, domain_id, _ in jobs]
        job_ids = [job_id for job_id, _, _ in jobs]

        async def compare(connection: asyncpg.Connection) -> list[asyncpg.Record]:
            # One transaction for the time of its start; it locks nothing before the note.
            async with connection.transaction():
                rows: list[asyncpg.Record] = await connection.fetch(
                    self._queries["compare_counters"],
                    domain_ids,
                    job_ids,
                    timeout=COMPARE_TIMEOUT_S,
                )
                if mark:
                    await connection.execute(self._queries["mark_reconciled"], job_ids)
                return rows

        rows = await self._pool.run(compare, name="compare_counters")
        return [self._compared(row["job_id"], row) for row in rows]

    async def recount_job(self, job_id: int) -> Compared | None:
        """Repair a job's counters under its lock; return what they were and are, None without a job."""

        async def recount(connection: asyncpg.Connection) -> asyncpg.Record | None:
            # Two statements: the second one's snapshot holds what the lock was waited for.
            async with connection.transaction():
                await connection.fetchrow(self._queries["lock_job"], job_id)
                return await connection.fetchrow(
                    self._queries["recount_job"], job_id, timeout=COMPARE_TIMEOUT_S
                )

        row = await self._pool.run(recount, name="recount_job")
        return None if row is None else self._compared(job_id, row)

    @staticmethod
    def _compared(job_id: int, row: asyncpg.Record) -> Compared:
        if row["status"] is None:
            return Compared(job_id, row["domain_id"], None, False, (), tuple(row["found"]))
        return Compared(
            job_id,
            row["domain_id"],
            JobState(row["status"]),
            row["discovery_open"],
            tuple(row["kept"]),
            tuple(row["found"]),
        )

    async def find_orphans(self, limit: int) -> list[tuple[int, int]]:
        """Name domain and id of jobs, final or missing, that have live tasks."""
        rows = await self._pool.fetch(self._queries["find_orphans"], limit)
        return [(row["domain_id"], row["job_id"]) for row in rows]

    async def cancel_orphans(self, domain_id: int, job_id: int, limit: int) -> int:
        """Cancel live tasks of a job that is final or missing; return how many."""
        row = await self._pool.fetchrow(self._queries["cancel_orphans"], domain_id, job_id, limit)
        return 0 if row is None else row["cancelled"]

    async def finish_jobs(self, job_ids: Sequence[int]) -> list[int]:
        """End those of the jobs that have nothing left to do; return which."""
        rows = await self._pool.fetch(self._queries["finish_jobs"], job_ids)
        say_ended(row["sums"] for row in rows)
        return [row["id"] for row in rows]

    async def find_stranded(self, after: int, limit: int) -> list[tuple[int, int]]:
        """Name domains without an owner that say tasks are in flight, and how many."""
        rows = await self._pool.fetch(self._queries["find_stranded"], after, limit)
        return [(row["id"], row["in_flight"]) for row in rows]

    async def clear_in_flight(self, domain_ids: Sequence[int]) -> int:
        """Say that nothing is in flight where nobody owns the domain; return how many tasks were."""
        row = await self._pool.fetchrow(self._queries["clear_in_flight"], domain_ids)
        return 0 if row is None else row["cleared"]
