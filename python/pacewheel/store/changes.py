"""What users change of jobs and tasks that exist: pause, end, cancel, reprioritise, retry.

Owns the verbs on rows that somebody else may be working on. Each is one transaction under the
job's lock; the table in states.py says from which states it may start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pacewheel import events
from pacewheel.errors import DomainUnknown, TaskUnknown
from pacewheel.logs import Logger
from pacewheel.model import JobState, NewTask
from pacewheel.states import JOB_TRANSITIONS, JobVerb
from pacewheel.store.job_log import say_ended
from pacewheel.store.tasks import Inserted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pacewheel.store.hinter import Hinter
    from pacewheel.store.jobs import PostgresJobs
    from pacewheel.store.pool import WorkPool
    from pacewheel.store.tasks import PostgresTasks

log = Logger("jobs")

ROWS_MAX = 1000


class PostgresChanges:
    """Everything done to rows that exist."""

    def __init__(
        self,
        pool: WorkPool,
        queries: Mapping[str, str],
        jobs: PostgresJobs,
        tasks: PostgresTasks,
        hinter: Hinter,
    ) -> None:
        self._pool = pool
        self._queries = queries
        self._jobs = jobs
        self._tasks = tasks
        self._hinter = hinter

    async def move_job(self, job_id: int, verb: JobVerb) -> bool:
        """Pause or resume a job; False when it is in that state already.

        Raises:
            JobFinal, JobUnknown: there is nothing to move.
        """
        allowed = JOB_TRANSITIONS[verb]
        state = next(iter(allowed.values()))
        row = await self._pool.fetchrow(self._queries["move_job"], job_id, list(allowed), state)
        row = await self._unless_final(job_id, row)
        self._hint("changed", job_id)
        self._hint("due", row["domain_id"])
        moved: bool = row["moved"]
        if moved:
            is_pause = verb is JobVerb.PAUSE
            log.say(events.JOB_PAUSED if is_pause else events.JOB_RESUMED, job_id=job_id)
        return moved

    async def end_job(self, job_id: int, verb: JobVerb, error: str | None = None) -> int:
        """Fail or cancel a job and cancel its live tasks; return how many those were.

        Raises:
            JobFinal, JobUnknown: there is nothing to end.
        """
        allowed = JOB_TRANSITIONS[verb]
        state = next(iter(allowed.values()))

        async def end(connection: asyncpg.Connection) -> asyncpg.Record | None:
            # Two statements: the second one's snapshot holds what was enqueued while the first
            # one waited for the lock.
            async with connection.transaction():
                await connection.fetchrow(self._queries["lock_job"], job_id)
                return await connection.fetchrow(
                    self._queries["end_job"], job_id, list(allowed), state, error
                )

        row = await self._unless_final(job_id, await self._pool.run(end, name="end_job"))
        self._hint("cancelled", job_id)
        self._hint("due", row["domain_id"])
        say_ended([row["sums"]])
        cancelled: int = row["cancelled"]
        return cancelled

    async def cancel_tasks(self, job_id: int, keys: Sequence[str]) -> int:
        """Cancel tasks by their keys, running ones too; return how many were live.

        Raises:
            TaskUnknown, JobFinal, JobUnknown: nothing is cancelled.
        """
        ids = await self._ids_of(job_id, keys)
        row = await self._unless_final(
            job_id, await self._pool.fetchrow(self._queries["cancel_tasks"], job_id, ids)
        )
        say_ended([row["sums"]])
        self._hint("stopped", *row["cancelled"])
        self._hint("due", row["domain_id"])
        return len(row["cancelled"])

    async def reprioritise_tasks(self, job_id: int, priorities: Mapping[str, float]) -> int:
        """Give live tasks other priorities, by key; return how many changed.

        Raises:
            TaskUnknown, JobFinal, JobUnknown: nothing is changed.
        """
        ids = await self._ids_of(job_id, list(priorities))
        row = await self._unless_final(
            job_id,
            await self._pool.fetchrow(
                self._queries["reprioritise_tasks"], job_id, ids, list(priorities.values())
            ),
        )
        self._hint("due", row["domain_id"])
        changed: int = row["changed"]
        return changed

    async def reprioritise_job(self, job_id: int, priority: float) -> None:
        """Give a job another weight among the jobs of its domain.

        Raises:
            JobFinal, JobUnknown: nothing is changed.
        """
        row = await self._pool.fetchrow(self._queries["reprioritise_job"], job_id, priority)
        await self._unless_final(job_id, row)
        self._hint("changed", job_id)

    async def set_domain_delay(self, name: str, delay_ms: int) -> int:
        """Set the least gap that users ask of a domain; return the gap in force now.

        Raises:
            DomainUnknown: there is none of this name.
        """
        row = await self._pool.fetchrow(self._queries["set_domain_delay"], name, delay_ms)
        if row is None:
            raise DomainUnknown.of(name)
        self._hint("paced", row["id"])
        gap_ms: int = row["gap_ms"]
        return gap_ms

    async def retry_tasks(self, job_id: int, keys: Sequence[str] | None) -> tuple[int, int]:
        """Run failed tasks again, all or those of these keys; return job id and number of tasks.

        A live job runs them itself. A final one changes no more: a new job like it gets them, in
        one transaction. Nothing failed: the job itself, and 0.

        Raises:
            TaskUnknown, JobUnknown: nothing is retried.
        """
        ids = None if keys is None else await self._ids_of(job_id, keys)
        retried = 0
        last: int | None = None
        while True:
            # In the order of ids, for those retried first may have failed again by now.
            row = await self._pool.fetchrow(
                self._queries["retry_tasks"], job_id, ids, ROWS_MAX, last
            )
            if row is None:
                await self._jobs.refuse(job_id)
            retried += row["retried"]
            if row["retried"]:
                self._hint("due", row["domain_id"])
            last = row["last_id"]
            if JobState(row["status"]).is_final and not retried:
                return await self._retry_in_new_job(job_id, ids)
            if row["retried"] < ROWS_MAX:
                return job_id, retried

    async def _retry_in_new_job(self, job_id: int, ids: Sequence[int] | None) -> tuple[int, int]:
        notify = self._hinter.leads()

        async def create(connection: asyncpg.Connection) -> tuple[int, Inserted]:
            async with connection.transaction():
                # The pruner passes over a job that is locked.
                if await connection.fetchrow(self._queries["lock_job"], job_id) is None:
                    return 0, Inserted()
                tasks = await self._failed(connection, job_id, ids)
                if not tasks:
                    return job_id, Inserted()
                row = await connection.fetchrow(self._queries["create_retry_job"], job_id)
                new_id: int = row["id"]
                inserted = await self._tasks.insert_tasks(connection, new_id, tasks, notify=notify)
                await connection.execute(self._queries["finish_discovery"], [new_id])
                return new_id, inserted

        new_id: int
        new_id, inserted = await self._pool.run(create, name="create_retry_job")
        if not new_id:
            await self._jobs.refuse(job_id)
        self._tasks.committed(inserted, notified=notify)
        if inserted.counts.inserted:
            log.say(
                events.JOB_RETRIED,
                job_id=new_id,
                retries_job_id=job_id,
                tasks=inserted.counts.inserted,
            )
        return new_id, inserted.counts.inserted

    async def _failed(
        self, connection: asyncpg.Connection, job_id: int, ids: Sequence[int] | None
    ) -> list[NewTask]:
        tasks: list[NewTask] = []
        last: int | None = None
        while True:
            rows = await connection.fetch(
                self._queries["read_failed_tasks"], job_id, ids, last, ROWS_MAX
            )
            tasks += [
                NewTask(row["target"], row["key"], row["priority"], _payload(row)) for row in rows
            ]
            if len(rows) < ROWS_MAX:
                return tasks
            last = rows[-1]["id"]

    async def _ids_of(self, job_id: int, keys: Sequence[str]) -> list[int]:
        """Return the ids of tasks in the order of their keys."""
        rows = await self._pool.fetch(self._queries["find_tasks"], job_id, keys)
        ids = {row["position"]: row["id"] for row in rows}
        for position, key in enumerate(keys, 1):
            if position not in ids:
                await self._jobs.get_job(job_id)
                raise TaskUnknown(f"job {job_id} has no task with key {key!r}: check its spelling")
        return [ids[position] for position in range(1, len(keys) + 1)]

    async def _unless_final(self, job_id: int, row: asyncpg.Record | None) -> asyncpg.Record:
        if row is None or JobState(row["status"]).is_final:
            await self._jobs.refuse(job_id)
        return row

    def _hint(self, verb: str, *ids: int) -> None:
        self._hinter.committed(verb, ids, notified=False)


def _payload(row: asyncpg.Record) -> dict[str, Any] | None:
    payload: dict[str, Any] | None = (
        None if row["payload"] is None else orjson.loads(row["payload"])
    )
    return payload
