"""Retention in SQL, on the work pool: every method is one statement and one transaction.

Owns no policy: what is old and in which order things go is the pruner's. `rehearse` runs the very
statements of a run and takes all of it back, so what it tells is what a run would do.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pacewheel.retention import Cleared, JobsPruned, Pruned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pacewheel.retention import Keep
    from pacewheel.store.pool import WorkPool

ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
REHEARSED_MAX = 1_000
UNCLEARED_MAX = 1_000_000
REHEARSAL_TIMEOUT_S = 600.0


class PostgresRetention:
    """`RetentionStore` on the work pool."""

    def __init__(self, pool: WorkPool, queries: Mapping[str, str]) -> None:
        self._pool = pool
        self._queries = queries

    async def take_turn(self, worker_id: int, hold_ms: int, every_ms: int | None = None) -> bool:
        """Take or keep the turn; with the time between two runs, only when one is due."""
        query = self._queries["take_turn"]
        return bool(await self._pool.fetch(query, worker_id, hold_ms, every_ms))

    async def end_turn(self, worker_id: int, next_in_ms: int) -> None:
        """Give the turn away."""
        await self._pool.fetch(self._queries["end_turn"], worker_id, next_in_ms)

    async def drop_results(self, age_ms: int, wait_ms: int) -> tuple[str | None, bool]:
        """Drop the oldest partition that is old; return its name, and whether its locks were taken."""
        row = await self._row("drop_results", age_ms, wait_ms)
        return row["dropped"], row["busy"]

    async def prune_results(self, age_ms: int, limit: int) -> int:
        """Remove old results outside the daily partitions."""
        return await self._pruned("prune_results", age_ms, limit)

    async def prune_jobs(
        self, keep: Keep, after: tuple[datetime, int] | None, limit: int
    ) -> JobsPruned:
        """Look at the next finished jobs, and remove those that are old."""
        return _jobs_of(await self._row("prune_jobs", *_jobs_args(keep, after, limit)))

    async def find_uncleared(self, limit: int) -> list[tuple[int, int]]:
        """Name job and domain of pruned jobs of which something may be left."""
        rows = await self._pool.fetch(self._queries["find_uncleared"], limit)
        return [(row["job_id"], row["domain_id"]) for row in rows]

    async def clear_tasks(self, job_id: int, limit: int) -> Cleared:
        """Remove the next tasks of a pruned job."""
        row = await self._pool.fetchrow(self._queries["clear_tasks"], job_id, limit)
        # Somebody else has cleared it, and it was forgotten meanwhile.
        return Cleared(0, 0, 0) if row is None else Cleared(*row)

    async def clear_texts(self, job_id: int, domain_id: int, limit: int) -> dict[str, int]:
        """Remove documents, link lists and raises of a pruned job; return how many of each."""
        return dict(await self._row("clear_texts", job_id, domain_id, limit))

    async def mark_cleared(self, job_id: int) -> None:
        """Note that nothing is left."""
        await self._pool.fetch(self._queries["mark_cleared"], job_id)

    async def prune_domains(self, age_ms: int, after: int, limit: int) -> tuple[int | None, int]:
        """Look at the next domains, and remove the unused ones; return where to go on, and how many.

        Raises:
            DataRefused: a job of one of them was created in this moment; nothing is removed.
        """
        row = await self._row("prune_domains", age_ms, after, limit)
        return row["last_id"], row["pruned"]

    async def prune_workers(self, age_ms: int, limit: int) -> int:
        """Remove processes that are long dead."""
        return await self._pruned("prune_workers", age_ms, limit)

    async def forget_pruned(self, age_ms: int, limit: int) -> int:
        """Forget jobs that were pruned long ago."""
        return await self._pruned("forget_pruned", age_ms, limit)

    async def rehearse(self, keep: Keep) -> Pruned:
        """Return what a run would remove now, and remove nothing.

        Rows that only a job's tasks lead to (documents, link lists) are not counted.
        """

        async def rehearse(connection: asyncpg.Connection) -> Pruned:
            pruned = Pruned()
            transaction = connection.transaction()
            await transaction.start()
            try:
                await self._rehearse(connection, keep, pruned)
            finally:
                await transaction.rollback()
            return pruned

        pruned: Pruned = await self._pool.run(rehearse, name="prune_jobs")
        return pruned

    async def _rehearse(self, connection: asyncpg.Connection, keep: Keep, pruned: Pruned) -> None:
        async def row(name: str, *args: Any) -> asyncpg.Record:
            return await connection.fetchrow(
                self._queries[name], *args, timeout=REHEARSAL_TIMEOUT_S
            )

        if keep.jobs_ms is not None:
            jobs = JobsPruned((ALWAYS, 0), 0)
            while jobs.after is not None:
                jobs = _jobs_of(
                    await row("prune_jobs", *_jobs_args(keep, jobs.after, REHEARSED_MAX))
                )
                pruned.count(jobs=jobs.jobs)
        # Of the jobs above, and of those that an interrupted run has left.
        left = await connection.fetch(self._queries["find_uncleared"], UNCLEARED_MAX)
        pruned.count(tasks=sum(each["tasks_left"] for each in left))
        if keep.results_ms is not None:
            old = await connection.fetch(self._queries["find_old_results"], keep.results_ms)
            pruned.partitions += [each["name"] for each in old]
            pruned.count(results=sum(each["rows"] for each in old))
            while (number := (await row("prune_results", keep.results_ms, 10_000))["pruned"]) > 0:
                pruned.count(results=number)
        if keep.domains_ms is not None:
            after: int | None = 0
            while after is not None:
                domains = await row("prune_domains", keep.domains_ms, after, REHEARSED_MAX)
                after = domains["last_id"]
                pruned.count(domains=domains["pruned"])
        if keep.workers_ms is not None:
            workers = await row("prune_workers", keep.workers_ms, 1_000_000)
            pruned.count(workers=workers["pruned"])

    async def _row(self, name: str, *args: Any) -> asyncpg.Record:
        row = await self._pool.fetchrow(self._queries[name], *args)
        if row is None:
            raise AssertionError(name)
        return row

    async def _pruned(self, name: str, *args: Any) -> int:
        pruned: int = (await self._row(name, *args))["pruned"]
        return pruned


def _jobs_args(keep: Keep, after: tuple[datetime, int] | None, limit: int) -> Sequence[Any]:
    at, job_id = after or (ALWAYS, 0)
    return keep.jobs_ms, keep.domains_ms, limit, at, job_id


def _jobs_of(row: asyncpg.Record) -> JobsPruned:
    after = None if row["last_id"] is None else (row["last_at"], row["last_id"])
    return JobsPruned(after, row["jobs"])
