"""What people see of a running system, read for the command line, the API, the dashboard and metrics.

Owns nothing, locks nothing. Each call is one statement or two, bounded by what is live and by what
is shown, never by what there is in all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import orjson

from pacewheel.errors import ConfigInvalid, DomainUnknown, TaskUnknown
from pacewheel.model import TaskState, WaitingReason
from pacewheel.overview import (
    SLOW_MS,
    Attempt,
    DomainInfo,
    DomainSort,
    SlowStatement,
    TaskDetail,
    TaskPage,
    TaskRow,
    Totals,
    WorkerInfo,
    WorkerState,
)
from pacewheel.store.jobs import FIRST_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from pacewheel.model import TaskInfo
    from pacewheel.store.explanations import PostgresExplanations
    from pacewheel.store.jobs import PostgresJobs
    from pacewheel.store.pool import WorkPool

ATTEMPTS_MAX = 100
# Where no index names the tasks of a state, so many are looked at a page: about ten milliseconds.
LOOKED_AT_MAX = 10_000
LAST_ID = 2**63 - 1


class PostgresOverview:
    """Everything that is read for people to see; the `OverviewStore` of `overview.py`."""

    def __init__(
        self,
        pool: WorkPool,
        queries: Mapping[str, str],
        jobs: PostgresJobs,
        explanations: PostgresExplanations,
    ) -> None:
        self._pool = pool
        self._queries = queries
        self._jobs = jobs
        self._explanations = explanations

    async def count_totals(self) -> Totals:
        """Sum up the live jobs."""
        row = await self._pool.fetchrow(self._queries["count_totals"])
        if row is None:
            raise AssertionError
        values = dict(row)
        found = orjson.loads(values["waiting_by_reason"])
        values["waiting_by_reason"] = {reason: found.get(reason, 0) for reason in WaitingReason}
        return Totals(**values)

    async def list_domains(
        self,
        *,
        search: str | None = None,
        live_only: bool = True,
        sort: DomainSort = DomainSort.NAME,
        limit: int = 100,
        offset: int = 0,
    ) -> list[DomainInfo]:
        """Return domains whose name contains `search`, in capitals or not, `limit` behind `offset`.

        Those with live jobs, or all, and these by name.

        Raises:
            ConfigInvalid: all domains are asked for in another order.
        """
        if not live_only and sort is not DomainSort.NAME:
            raise ConfigInvalid(
                f"domains without live jobs are listed by name, not by {sort.value}: ask for the "
                "live ones only, or for the order by name"
            )
        rows = await self._pool.fetch(
            self._queries["list_domains"], None, search, live_only, sort.value, limit, offset
        )
        return [DomainInfo(**row) for row in rows]

    async def get_domain(self, name: str) -> DomainInfo:
        """Return one domain.

        Raises:
            DomainUnknown: there is none of this name.
        """
        row = await self._pool.fetchrow(
            self._queries["list_domains"], name, None, False, DomainSort.NAME.value, 1, 0
        )
        if row is None:
            raise DomainUnknown.of(name)
        return DomainInfo(**row)

    async def list_workers(self, *, ended: int = 20) -> list[WorkerInfo]:
        """Return the processes that work, and which of the newest `ended` work no more."""
        rows = await self._pool.fetch(self._queries["list_workers"], ended)
        return [WorkerInfo(**{**row, "state": WorkerState(row["state"])}) for row in rows]

    async def list_slow(self, least_ms: float = SLOW_MS) -> list[SlowStatement]:
        """Return the statements that have been running for so long, of the roles that ours may see."""
        rows = await self._pool.fetch(self._queries["list_slow_statements"], least_ms)
        return [
            SlowStatement(
                row["pid"],
                self._name_of(row["query"]),
                row["age_ms"],
                row["waits_for"],
                row["blocked_by"],
            )
            for row in rows
        ]

    def _name_of(self, text: str) -> str | None:
        """Return the statement that begins with `text`, which the server has cut off."""
        found = [name for name, query in self._queries.items() if query.startswith(text)]
        return found[0] if text and len(found) == 1 else None

    async def list_tasks(
        self,
        job_id: int,
        *,
        state: TaskState | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> TaskPage:
        """Return `limit` tasks of a job, all or those in one state, after the page that said `after`.

        Pending tasks come in the order of their claim, waiting ones by the time they are ready, all
        others by id.

        Raises:
            JobUnknown: there is no such job.
            ConfigInvalid: no page said `after`.
        """
        place, last_id = _cursor(state, after)
        rows = await self._pool.fetch(
            self._queries["list_tasks"], job_id, state, place, last_id, limit, LOOKED_AT_MAX
        )
        if not rows:
            await self._jobs.get_job(job_id)
        tasks = [_task_row(row) for row in rows if row["id"] is not None]
        if len(tasks) >= limit:
            place = rows[-1]["place"]
            return TaskPage(tasks, _cursor_text(place, tasks[-1].id))
        looked_to = rows[0]["looked_to"] if rows else None
        return TaskPage(tasks, None if looked_to is None else _cursor_text(None, looked_to))

    async def get_task(self, task_id: int, *, job_id: int | None = None) -> TaskDetail:
        """Return a task by its id, of this job if one is given.

        Raises:
            TaskUnknown, JobUnknown: there is no such task.
        """
        row = await self._pool.fetchrow(self._queries["find_task"], task_id)
        if row is not None and job_id in (None, row["job_id"]):
            info = await self._explanations.explain_task_of(row["domain_id"], task_id)
            if info is not None:
                return await self._detail(info)
        if job_id is not None:
            await self._jobs.get_job(job_id)
        whose = "" if job_id is None else f" in job {job_id}"
        raise TaskUnknown(
            f"there is no task {task_id}{whose}: see 'pacewheel job tasks JOB' for ids"
        )

    async def find_task(self, job_id: int, key: str) -> TaskDetail:
        """Return a task by its key.

        Raises:
            TaskUnknown, JobUnknown: there is no such task.
        """
        return await self._detail(await self._explanations.explain_task(job_id, key))

    async def _detail(self, info: TaskInfo) -> TaskDetail:
        rows = await self._pool.fetch(
            self._queries["list_attempts"], info.job_id, info.id, ATTEMPTS_MAX
        )
        return TaskDetail(info, [_attempt(row) for row in rows])


def _task_row(row: asyncpg.Record) -> TaskRow:
    values = dict(row)
    del values["looked_to"], values["place"]
    values["state"] = TaskState(values["state"])
    if values["reason"] is not None:
        values["reason"] = WaitingReason(values["reason"])
    return TaskRow(**values)


def _attempt(row: asyncpg.Record) -> Attempt:
    values = dict(row)
    values["outcome"] = TaskState(values["outcome"])
    values["detail"] = None if values["detail"] is None else orjson.loads(values["detail"])
    return Attempt(**values)


def _cursor_text(place: float | None, last_id: int) -> str:
    return f"{last_id}" if place is None else f"{last_id}@{place!r}"


def _cursor(state: TaskState | None, after: str | None) -> tuple[float, int]:
    """Return place and id after which reading goes on; without a cursor, before all there are."""
    if after is None:
        return -math.inf, LAST_ID if state is TaskState.PENDING else FIRST_ID
    id_text, _, place_text = after.partition("@")
    try:
        place, last_id = float(place_text or 0), int(id_text)
    except ValueError:
        last_id = LAST_ID + 1
    if FIRST_ID <= last_id <= LAST_ID and not math.isnan(place):
        return place, last_id
    raise ConfigInvalid(f"after={after!r} is refused; give what the page before said")
