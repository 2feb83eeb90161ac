"""A job as its users see it: a number, and what can be done with it.

Owns nothing; everything a job is lives in the database, and every call asks or changes it there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pacewheel.errors import ConfigInvalid
from pacewheel.model import Enqueued, WaitingReason
from pacewheel.ports import InvalidationReason
from pacewheel.report import build
from pacewheel.states import JobVerb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pacewheel.metrics import Metrics
    from pacewheel.model import FailedTask, JobInfo, NewTask, Raised, TaskInfo, Waiting
    from pacewheel.ports import CallersConnection
    from pacewheel.report import Report
    from pacewheel.services.job_cache import JobInfoCache
    from pacewheel.store import Store

ENQUEUE_ROWS_MAX = 1000
REPORT_ROWS_MAX = 10_000


class Host(Protocol):
    """What a job needs of its engine."""

    job_cache: JobInfoCache
    metrics: Metrics

    @property
    def store(self) -> Store:
        """The database, once connected."""


class Job:
    """A job by its id; everything it is lives in the database."""

    def __init__(self, engine: Host, job_id: int, domain: str) -> None:
        self._engine = engine
        self.id = job_id
        self.domain = domain

    def __repr__(self) -> str:
        return f"Job(id={self.id}, domain={self.domain!r})"

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: CallersConnection | None = None
    ) -> Enqueued:
        """Add tasks, thousands at once, each key once a job; return what became of them.

        Each thousand is a transaction of its own: after an error those before it are in, and
        offering all again is safe. With `connection`, an asyncpg connection to the same database
        with a transaction open, all of them are part of that transaction: they exist when it
        commits, and the job's row is locked until then. Errors of that connection are the driver's.

        Raises:
            JobFinal, JobUnknown: the job takes no tasks.
            DataRefused: a payload is no JSON, a delay no time, or a text can't be stored.
            ConfigInvalid: the connection has no transaction open.
        """
        return await enqueue(self._engine, self.id, tasks, connection=connection)

    async def raise_priorities(self, priorities: Mapping[str, float]) -> Raised:
        """Raise live tasks, by key, to at least these priorities; return what became of that.

        Asked for in one transaction, done by the domain's owner: at once from 0.8 on, lower ones in
        batches within seconds (`warm_raise_s`, `cold_raise_s`). Keys that the job doesn't know are
        counted and ignored.

        Raises:
            JobFinal, JobUnknown: the job has no live tasks.
            DataRefused: a priority is not a number.
        """
        store = self._engine.store
        raised = await store.raises.offer_raises(self.id, priorities)
        return raised or await store.jobs.refuse(self.id)

    async def finish_discovery(self) -> None:
        """Say that no more tasks come from outside: the job ends when its last task does.

        Raises:
            JobFinal, JobUnknown: there is nothing to finish.
        """
        await self._engine.store.jobs.finish_discovery(self.id)
        self._engine.job_cache.invalidate(self.id, InvalidationReason.ENDED)

    async def cancel(self) -> int:
        """Cancel the job and its live tasks, and stop their handlers; return how many those were.

        Raises:
            JobFinal, JobUnknown: there is nothing to cancel.
        """
        return await self._engine.store.changes.end_job(self.id, JobVerb.CANCEL)

    async def fail(self, error: str) -> int:
        """End the job as failed, for the reason `error`, and cancel its live tasks; return how many.

        Raises:
            JobFinal, JobUnknown: there is nothing to end.
        """
        return await self._engine.store.changes.end_job(self.id, JobVerb.FAIL, error)

    async def pause(self) -> bool:
        """Start nothing more of the job until it is resumed; what runs ends by itself.

        A claim under way at that moment may still start what it took, milliseconds later. The job
        stays paused however often processes start anew. False: it was paused already.

        Raises:
            JobFinal, JobUnknown: there is nothing to pause.
        """
        return await self._engine.store.changes.move_job(self.id, JobVerb.PAUSE)

    async def resume(self) -> bool:
        """Go on with a paused job; False: it was not paused.

        Raises:
            JobFinal, JobUnknown: there is nothing to resume.
        """
        return await self._engine.store.changes.move_job(self.id, JobVerb.RESUME)

    async def reprioritise(self, priority: float) -> None:
        """Give the job another weight among the jobs of its domain; see `Engine.create_job`.

        Raises:
            JobFinal, JobUnknown: there is nothing to change.
        """
        await self._engine.store.changes.reprioritise_job(self.id, finite(priority))

    async def reprioritise_tasks(self, priorities: Mapping[str, float]) -> int:
        """Give live tasks other priorities, higher or lower, by key; return how many changed.

        Raises:
            JobFinal, JobUnknown, TaskUnknown: nothing is changed.
        """
        for priority in priorities.values():
            finite(priority)
        return await self._engine.store.changes.reprioritise_tasks(self.id, priorities)

    async def cancel_tasks(self, keys: Sequence[str]) -> int:
        """Cancel tasks by key and stop their handlers; return how many were live.

        Raises:
            JobFinal, JobUnknown, TaskUnknown: nothing is cancelled.
        """
        return await self._engine.store.changes.cancel_tasks(self.id, keys)

    async def retry_failed(self, keys: Sequence[str] | None = None) -> tuple[Job, int]:
        """Run failed tasks again, all or those of these keys; return their job and their number.

        A live job runs them itself, each with another round of its handler's attempts. A final job
        changes no more, so a new one like it gets them.

        Raises:
            JobUnknown, TaskUnknown: nothing is retried.
        """
        job_id, retried = await self._engine.store.changes.retry_tasks(self.id, keys)
        return Job(self._engine, job_id, self.domain), retried

    async def explain(self) -> list[Waiting]:
        """Return why its tasks wait: how many for which reason, and what holds them."""
        return await self._engine.store.explanations.explain_waiting([self.id], None)

    async def explain_task(self, key: str) -> TaskInfo:
        """Return what one task is doing, or why it is not.

        Raises:
            JobUnknown, TaskUnknown: there is no such task.
        """
        return await self._engine.store.explanations.explain_task(self.id, key)

    async def failed_tasks(
        self, *, limit: int = 1000, after: int | None = None
    ) -> list[FailedTask]:
        """Return tasks that failed for good, in the order of their ids; `after` is the last one seen.

        Raises:
            JobUnknown: there is no such job.
        """
        return await self._engine.store.jobs.list_failed(self.id, limit=limit, after=after)

    async def report(
        self,
        *,
        rows_max: int = REPORT_ROWS_MAX,
        compared_with: int | Literal["previous"] | None = None,
    ) -> Report:
        """Return what the job has come to, as of now; each of its lists has `rows_max` rows at most.

        `compared_with` is the id of another job of the site; "previous" the last completed one
        before it with the same handler that isn't a retry of failed tasks, if there is one.

        Raises:
            JobUnknown: there is no such job.
            ConfigInvalid: the other job is of another site.
        """
        reports = self._engine.store.reports
        other = compared_with
        if other == "previous":
            other = await reports.find_previous_job(self.id)
        return build(await reports.read_facts(self.id, rows_max=rows_max, compared_with=other))

    async def export(self, take: Callable[[Sequence[Mapping[str, Any]]], None]) -> None:
        """Hand every task, with its last attempt, to `take`, a thousand at a time.

        A live job's in one snapshot. The columns are those of sql/queries/export_tasks.sql. Memory
        is bounded by a thousand. What `take` raises ends it.

        Raises:
            JobUnknown: there is no such job.
        """
        await self._engine.store.reports.export_tasks(self.id, take)

    async def info(self) -> JobInfo:
        """Return the job's row and counters now."""
        return await self._engine.store.jobs.get_job(self.id)


async def enqueue(
    engine: Host,
    job_id: int,
    tasks: Sequence[NewTask],
    *,
    connection: CallersConnection | None,
) -> Enqueued:
    """Add tasks to a job; see `Job.enqueue`."""
    engine.job_cache.refuse_final(job_id)
    if connection is not None:
        return await _enqueue_within(engine, connection, job_id, tasks)
    total = Enqueued()
    for start in range(0, len(tasks), ENQUEUE_ROWS_MAX):
        part = await engine.store.tasks.enqueue_tasks(
            job_id, tasks[start : start + ENQUEUE_ROWS_MAX]
        )
        if part.refused:
            await engine.job_cache.refuse(job_id)
        total = total.plus(part.inserted, part.known, part.over_limit, part.refused)
    delays_ms = [1000 * task.ready_in_s for task in tasks if task.ready_in_s]
    engine.metrics.waits.observe_ms(WaitingReason.SCHEDULED, delays_ms)
    return total


async def _enqueue_within(
    engine: Host, connection: CallersConnection, job_id: int, tasks: Sequence[NewTask]
) -> Enqueued:
    if not connection.is_in_transaction():
        message = (
            "the connection has no transaction open: enqueue inside 'async with "
            "connection.transaction()', or without a connection"
        )
        raise ConfigInvalid(message)
    inserted = await engine.store.tasks.insert_tasks(connection, job_id, tasks, notify=True)
    if inserted.counts.refused:
        await engine.job_cache.refuse(job_id)
    return inserted.counts


def finite(priority: float) -> float:
    """Return the priority.

    Raises:
        ConfigInvalid: it is infinite or not a number.
    """
    if not math.isfinite(priority):
        raise ConfigInvalid(f"priority {priority} orders nothing: give a finite number")
    return priority


def check_job(
    *,
    domain: str,
    handler: str,
    concurrency: int,
    priority: float,
    max_tasks: int | None,
    domain_delay_ms: int | None,
) -> None:
    """Check what a job is to be made of; see `Engine.create_job`.

    Raises:
        ConfigInvalid: a value can't work.
    """
    if not domain or not handler:
        raise ConfigInvalid("a job needs a domain and a handler")
    finite(priority)
    if concurrency < 1 or (max_tasks is not None and max_tasks < 1) or (domain_delay_ms or 0) < 0:
        raise ConfigInvalid(
            "concurrency and max_tasks must be at least 1, domain_delay_ms at least 0"
        )
