"""Jobs in SQL: create, read, finish their discovery, sum up.

Owns the rows of `jobs` as users see them; the counters in them are moved by the statements of
tasks.py, their states by those of changes.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from pacewheel.errors import JobFinal
from pacewheel.job_summary import JobSummary
from pacewheel.model import FailedTask, JobFacts, JobInfo, JobState, WaitingReason
from pacewheel.store.job_log import say_created, say_ended
from pacewheel.store.pruned import missing_job
from pacewheel.store.tasks import Inserted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pacewheel.model import NewTask
    from pacewheel.store.hinter import Hinter
    from pacewheel.store.pool import WorkPool
    from pacewheel.store.tasks import PostgresTasks

# Ids of tasks are any bigint, negative ones too.
FIRST_ID = -(2**63)


class PostgresJobs:
    """Everything done to jobs as a whole."""

    def __init__(
        self,
        pool: WorkPool,
        queries: Mapping[str, str],
        tasks: PostgresTasks,
        hinter: Hinter,
    ) -> None:
        self._pool = pool
        self._queries = queries
        self._tasks = tasks
        self._hinter = hinter

    async def create_job(
        self,
        *,
        domain: str,
        domain_delay_ms: int | None,
        handler: str,
        priority: float,
        concurrency: int,
        max_tasks: int | None,
        options: Mapping[str, Any],
        tasks: Sequence[NewTask],
        discovery_open: bool,
        unless_live: bool,
    ) -> int:
        """Create a job with its first tasks in one transaction; return its id.

        With `unless_live`, return the live job of this domain and handler instead if there is one,
        and change nothing: the domain's row is locked meanwhile, so of several callers one creates.
        """
        notify = bool(tasks) and self._hinter.leads()

        async def create(
            connection: asyncpg.Connection,
        ) -> tuple[int, Inserted | None, Sequence[asyncpg.Record]]:
            async with connection.transaction():
                if unless_live:
                    await connection.execute(self._queries["lock_domain"], domain)
                    live: int | None = await connection.fetchval(
                        self._queries["find_live_job"], domain, handler
                    )
                    if live is not None:
                        return live, None, []
                    await connection.execute(self._queries["put_domain"], domain, domain_delay_ms)
                row = await insert_job(
                    connection,
                    self._queries,
                    domain_delay_ms,
                    domain,
                    handler,
                    priority,
                    concurrency,
                    max_tasks,
                    orjson.dumps(dict(options)).decode(),
                )
                job_id: int = row["id"]
                inserted = await self._tasks.insert_tasks(connection, job_id, tasks, notify=notify)
                ended = (
                    []
                    if discovery_open
                    else await connection.fetch(self._queries["finish_discovery"], [job_id])
                )
                return job_id, inserted, ended

        delay_ms = None if unless_live else domain_delay_ms
        await self._pool.fetch(self._queries["put_domain"], domain, delay_ms)
        job_id: int
        inserted: Inserted | None
        job_id, inserted, ended = await self._pool.run(create, name="create_job")
        if inserted is not None:
            self._tasks.committed(inserted, notified=notify)
            say_created(job_id, domain, handler, inserted.counts.inserted)
            say_ended(row["sums"] for row in ended)
        return job_id

    async def finish_discovery(self, job_id: int) -> None:
        """Say that no more tasks come from outside; a job without live tasks ends.

        Raises:
            JobFinal, JobUnknown: there is nothing to finish.
        """
        rows = await self._pool.fetch(self._queries["finish_discovery"], [job_id])
        if not rows:
            await self.refuse(job_id)
        say_ended(row["sums"] for row in rows)

    async def get_job(self, job_id: int) -> JobInfo:
        """Return one job.

        Raises:
            JobUnknown: there is none with this id.
        """
        jobs = await self.list_jobs(ids=[job_id], domain=None, live_only=False, limit=1)
        if not jobs:
            pruned = await self._pool.fetchrow(self._queries["find_pruned"], job_id)
            raise missing_job(job_id, pruned)
        return jobs[0]

    async def refuse(self, job_id: int) -> NoReturn:
        """Raise the error that says why a job can't be changed.

        Raises:
            JobFinal, JobUnknown: always one of them.
        """
        raise JobFinal.of(job_id, (await self.get_job(job_id)).status.name)

    async def get_job_facts(self, job_ids: Sequence[int]) -> dict[int, JobFacts]:
        """Return what a process must know of those of the jobs that exist."""
        rows = await self._pool.fetch(self._queries["get_job_facts"], job_ids)
        return {
            job_id: JobFacts(
                job_id,
                domain_id,
                handler,
                JobState(status),
                concurrency,
                max_tasks,
                orjson.loads(options),
            )
            for job_id, domain_id, handler, status, concurrency, max_tasks, options in rows
        }

    async def list_jobs(
        self,
        *,
        ids: Sequence[int] | None,
        domain: str | None,
        live_only: bool,
        limit: int,
        before: int | None = None,
    ) -> list[JobInfo]:
        """Return jobs, newest first, of all those with an id below `before`."""
        rows = await self._pool.fetch(
            self._queries["list_jobs"], ids, domain, live_only, limit, before
        )
        return [self.info_of(row) for row in rows]

    @staticmethod
    def info_of(row: asyncpg.Record) -> JobInfo:
        """Return the job of a row of `list_jobs`."""
        values = dict(row)
        values["status"] = JobState(values["status"])
        values["options"] = orjson.loads(values["options"])
        if values["waiting_reason"] is not None:
            values["waiting_reason"] = WaitingReason(values["waiting_reason"])
        return JobInfo(**values)

    async def list_failed(
        self, job_id: int, *, limit: int, after: int | None = None
    ) -> list[FailedTask]:
        """Return failed tasks of a job in the order of their ids, those after `after`.

        Raises:
            JobUnknown: there is no such job.
        """
        start = FIRST_ID if after is None else after
        rows = await self._pool.fetch(self._queries["list_failed_tasks"], job_id, start, limit)
        if not rows:
            await self.get_job(job_id)
        return [FailedTask(**row) for row in rows]

    async def summarise_job(self, job_id: int, kind: str) -> JobSummary:
        """Sum up the last attempts of a job's tasks of one kind."""
        row = await self._pool.fetchrow(self._queries["summarise_results"], job_id, kind)
        if row is None:
            raise AssertionError
        values = dict(row)
        for name in ("statuses", "errors", "cache", "uncacheable", "rechecks", "left_out"):
            values[name] = orjson.loads(values[name])
        return JobSummary(**values)


async def insert_job(
    connection: asyncpg.Connection,
    queries: Mapping[str, str],
    domain_delay_ms: int | None,
    *values: Any,
) -> asyncpg.Record:
    """Insert the row of a job; `values` are those of `create_job`, the domain's name first."""
    row = await connection.fetchrow(queries["create_job"], *values)
    if row is None:
        # It was put just now, and had been unused for so long that the pruner has removed it.
        await connection.execute(queries["put_domain"], values[0], domain_delay_ms)
        row = await connection.fetchrow(queries["create_job"], *values)
    return row
