"""Why tasks wait, read from the rows that hold them back.

Owns nothing: the views `waiting` and `task_states` derive every reason when somebody asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.errors import TaskUnknown
from pacewheel.model import StuckJob, TaskInfo, TaskState, Waiting, WaitingReason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pacewheel.store.jobs import PostgresJobs
    from pacewheel.store.pool import WorkPool


def waiting_of(row: asyncpg.Record) -> Waiting:
    """Return a row of `explain_waiting` as its value."""
    return Waiting(
        row["job_id"],
        row["domain"],
        WaitingReason(row["reason"]),
        row["tasks"],
        row["expected_in_ms"],
        row["holder"],
    )


class PostgresExplanations:
    """Answers to "why?"."""

    def __init__(self, pool: WorkPool, queries: Mapping[str, str], jobs: PostgresJobs) -> None:
        self._pool = pool
        self._queries = queries
        self._jobs = jobs

    async def explain_waiting(
        self, job_ids: Sequence[int] | None, domain: str | None
    ) -> list[Waiting]:
        """Return why the live tasks of jobs don't run; the tasks sum up to all that wait."""
        rows = await self._pool.fetch(self._queries["explain_waiting"], job_ids, domain)
        return [waiting_of(row) for row in rows]

    async def explain_task(self, job_id: int, key: str) -> TaskInfo:
        """Return what a task is doing, or why it is not.

        Raises:
            TaskUnknown, JobUnknown: there is no such task.
        """
        found = await self._pool.fetchrow(self._queries["find_tasks"], job_id, [key])
        info = found and await self.explain_task_of(found["domain_id"], found["id"])
        if info is None:
            await self._jobs.get_job(job_id)
            raise TaskUnknown(f"job {job_id} has no task with key {key!r}: check its spelling")
        return info

    async def explain_task_of(self, domain_id: int, task_id: int) -> TaskInfo | None:
        """Return what a task of a domain is doing; None: there is no such task."""
        row = await self._pool.fetchrow(self._queries["explain_task"], domain_id, task_id)
        if row is None:
            return None
        values = dict(row)
        values["state"] = TaskState[values["state"].upper()]
        if values["reason"] is not None:
            values["reason"] = WaitingReason(values["reason"])
        return TaskInfo(**values)

    async def find_stuck_jobs(self, idle_s: float) -> list[StuckJob]:
        """Return jobs without progress for so long although nothing asks them to wait."""
        rows = await self._pool.fetch(self._queries["find_stuck_jobs"], idle_s)
        return [
            StuckJob(
                row["job_id"],
                row["domain"],
                row["tasks"],
                WaitingReason(row["reason"]),
                row["holder"],
                row["idle_s"],
            )
            for row in rows
        ]
