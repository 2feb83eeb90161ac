"""Schedules in SQL: create, fire, pause, list, remove.

Owns the rows of `schedules`. An occurrence is fired by one transaction: the schedule's row is
locked, its last job is looked at, the new job is made with its first tasks, and the row says when
the next one is. So a process that dies within it has done nothing, one that dies after it all, and
no two fire the same. All instants are the database's; the one that is computed here comes from its
clock and goes back to it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import orjson

from pacewheel.errors import ConfigInvalid, DataRefused, ScheduleExists, ScheduleUnknown
from pacewheel.model import JobState, NewTask
from pacewheel.recurrence import Firing, ScheduleInfo
from pacewheel.store.columns import millis, text
from pacewheel.store.jobs import insert_job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import asyncpg

    from pacewheel.recurrence import NewSchedule
    from pacewheel.store.hinter import Hinter
    from pacewheel.store.pool import WorkPool
    from pacewheel.store.tasks import Inserted, PostgresTasks

EXPIRING_DOCUMENT = "expiring"
EXPIRING_RESULTS_MAX = 20_000
EXPIRING_PAGES_MAX = 5_000
_TASK_MEMBERS = frozenset(each.name for each in fields(NewTask))


@dataclass(frozen=True, slots=True)
class _Row:
    """A schedule as it is stored.

    `puts_domain`: its domain is to be put before it gets a job. `unknown`: members of its tasks
    that only a newer version knows.
    """

    info: ScheduleInfo
    puts_domain: bool
    unknown: Sequence[str]


class PostgresSchedules:
    """`ScheduleStore` on the work pool; also what users do to schedules."""

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

    async def create_schedule(self, new: NewSchedule) -> ScheduleInfo:
        """Create a schedule; its first occurrence lies ahead.

        Raises:
            ScheduleExists: the name is taken.
            DataRefused: a payload is no JSON, a delay no time, or a text can't be stored.
            ConfigInvalid: the cron expression never comes true.
        """

        async def create(connection: asyncpg.Connection) -> int | None:
            async with connection.transaction():
                now = await connection.fetchval(self._queries["read_clock"])
                schedule_id: int | None = await connection.fetchval(
                    self._queries["create_schedule"],
                    new.name,
                    new.domain,
                    new.handler,
                    new.priority,
                    new.concurrency,
                    new.max_tasks,
                    new.domain_delay_ms,
                    text(dict(new.options)),
                    text(_stored(new.tasks)),
                    new.expiring_first,
                    new.recurrence.cron,
                    millis(new.recurrence.every_s),
                    new.recurrence.zone,
                    new.recurrence.next_after(now, now),
                )
                return schedule_id

        # What can't be the name of a domain is refused here, not when the schedule is due.
        await self._pool.fetch(self._queries["put_domain"], new.domain, None)
        schedule_id = await self._pool.run(create)
        if schedule_id is None:
            raise ScheduleExists.of(new.name)
        self._changed(schedule_id)
        return await self.get_schedule(new.name)

    async def list_schedules(self) -> list[ScheduleInfo]:
        """Return all schedules, by name."""
        rows = await self._pool.fetch(self._queries["list_schedules"], None, None)
        return [_row_of(row).info for row in rows]

    async def get_schedule(self, name: str) -> ScheduleInfo:
        """Return one schedule.

        Raises:
            ScheduleUnknown: there is none of this name.
        """
        row = await self._pool.fetchrow(self._queries["list_schedules"], None, name)
        if row is None:
            raise ScheduleUnknown.of(name)
        return _row_of(row).info

    async def remove_schedule(self, name: str) -> None:
        """Remove a schedule; its jobs stay.

        Raises:
            ScheduleUnknown: there is none of this name.
        """
        if await self._pool.fetchrow(self._queries["remove_schedule"], name) is None:
            raise ScheduleUnknown.of(name)

    async def move_schedule(self, name: str, *, paused: bool) -> bool:
        """Pause or resume it, from its next occurrence on; False when it is in that state already.

        Raises:
            ScheduleUnknown: there is none of this name.
            ConfigInvalid: this process can't tell when the next occurrence is.
        """

        async def move(connection: asyncpg.Connection) -> int | None:
            async with connection.transaction():
                info = (await self._locked(connection, name)).info
                if info.paused == paused:
                    return None
                next_at = info.next_at
                if not paused:
                    now = await connection.fetchval(self._queries["read_clock"])
                    next_at = info.recurrence.next_after(now, info.next_at)
                await self._update(connection, info, next_at, paused=paused)
                return info.id

        schedule_id = await self._pool.run(move)
        if schedule_id is None:
            return False
        self._changed(schedule_id)
        return True

    async def fire_schedule(self, name: str) -> Firing:
        """Make a job of it now, whenever it is due and whether it is paused, unless one is live.

        Raises:
            ScheduleUnknown: there is none of this name.
            DataRefused: a newer version has written what this one doesn't know.
        """

        async def fire(connection: asyncpg.Connection) -> tuple[Firing, Inserted | None]:
            async with connection.transaction():
                row = await self._locked(connection, name)
                info = row.info
                if info.live_job_id is not None:
                    return Firing(name, info.next_at, live_job_id=info.live_job_id), None
                job_id, inserted = await self._make_job(connection, row)
                await self._update(connection, info, info.next_at, job_id=job_id)
                return Firing(name, info.next_at, job_id=job_id), inserted

        return self._told(*await self._pool.run(fire))

    async def fire_due(self) -> Firing | None:
        """Fire the occurrence that has been due for longest; None when nobody else left one.

        A schedule that can't be fired would be due for ever: it is paused.
        """
        due: int | None = None

        async def fire(
            connection: asyncpg.Connection,
        ) -> tuple[Firing, Inserted | None] | None:
            nonlocal due
            async with connection.transaction():
                due = await connection.fetchval(self._queries["take_due_schedule"])
                if due is None:
                    return None
                now = await connection.fetchval(self._queries["read_clock"])
                return await self._fire(connection, await self._read(connection, due), now)

        try:
            fired = await self._pool.run(fire)
        except (ConfigInvalid, DataRefused) as error:
            if due is None:
                raise
            return await self._pause_faulty(due, str(error))
        return None if fired is None else self._told(*fired)

    async def find_next_occurrence(self) -> float | None:
        """Return when the next occurrence is due, below zero if one is overdue; None without any."""
        row = await self._pool.fetchrow(self._queries["find_next_occurrence"])
        return None if row is None else row["in_ms"]

    async def _fire(
        self, connection: asyncpg.Connection, row: _Row, now: datetime
    ) -> tuple[Firing, Inserted | None]:
        """See to an occurrence of a schedule that is locked."""
        info = row.info
        next_at = info.recurrence.next_after(now, info.next_at)
        if info.live_job_id is not None:
            await self._update(connection, info, next_at, skipped=1)
            return Firing(info.name, next_at, live_job_id=info.live_job_id), None
        job_id, inserted = await self._make_job(connection, row)
        await self._update(connection, info, next_at, job_id=job_id)
        return Firing(info.name, next_at, job_id=job_id), inserted

    async def _pause_faulty(self, schedule_id: int, fault: str) -> Firing | None:
        """Pause a schedule; None when it is gone by now, or another process could fire it."""

        async def pause(connection: asyncpg.Connection) -> Firing | None:
            async with connection.transaction():
                due = await connection.fetchval(self._queries["take_due_schedule"])
                if due != schedule_id:
                    return None
                info = (await self._read(connection, due)).info
                await self._update(connection, info, info.next_at, paused=True)
                return Firing(info.name, info.next_at, fault=fault)

        firing: Firing | None = await self._pool.run(pause)
        return firing

    async def _make_job(self, connection: asyncpg.Connection, row: _Row) -> tuple[int, Inserted]:
        """Make the job, with its tasks; it ends when they do."""
        info = row.info
        if row.unknown:
            raise DataRefused(
                f"its tasks have {', '.join(map(repr, row.unknown))}, which this version doesn't know: "
                "let a newer one fire it"
            )
        if row.puts_domain:
            await connection.execute(self._queries["put_domain"], info.domain, info.domain_delay_ms)
        made = await insert_job(
            connection,
            self._queries,
            info.domain_delay_ms,
            info.domain,
            info.handler,
            info.priority,
            info.concurrency,
            info.max_tasks,
            text(info.options),
        )
        job_id: int = made["id"]
        if info.expiring_first and info.last_job_id is not None:
            await connection.execute(
                self._queries["put_expiring"],
                job_id,
                info.last_job_id,
                EXPIRING_DOCUMENT,
                EXPIRING_RESULTS_MAX,
                EXPIRING_PAGES_MAX,
            )
        inserted = await self._tasks.insert_tasks(connection, job_id, info.tasks, notify=True)
        await connection.execute(self._queries["finish_discovery"], [job_id])
        return job_id, inserted

    def _told(self, firing: Firing, inserted: Inserted | None) -> Firing:
        """Say what a firing that is committed has done."""
        if inserted is not None:
            self._tasks.committed(inserted, notified=True)
        return firing

    async def _locked(self, connection: asyncpg.Connection, name: str) -> _Row:
        """Lock a schedule, then read it: the second statement sees what the first waited for."""
        schedule_id = await connection.fetchval(self._queries["lock_schedule"], name)
        if schedule_id is None:
            raise ScheduleUnknown.of(name)
        return await self._read(connection, schedule_id)

    async def _read(self, connection: asyncpg.Connection, schedule_id: int) -> _Row:
        return _row_of(
            await connection.fetchrow(self._queries["list_schedules"], [schedule_id], None)
        )

    async def _update(
        self,
        connection: asyncpg.Connection,
        info: ScheduleInfo,
        next_at: datetime,
        *,
        paused: bool | None = None,
        job_id: int | None = None,
        skipped: int = 0,
    ) -> None:
        await connection.execute(
            self._queries["update_schedule"],
            info.id,
            next_at,
            info.paused if paused is None else paused,
            job_id,
            skipped,
        )

    def _changed(self, schedule_id: int) -> None:
        self._hinter.committed("scheduled", [schedule_id], notified=False)


def _stored(tasks: Sequence[NewTask]) -> list[dict[str, Any]]:
    """Return tasks as they are stored: only what isn't a default, so that older readers bear it.

    Raises:
        DataRefused: a delay is no duration.
    """
    defaults = {each.name: each.default for each in fields(NewTask)}
    for task in tasks:
        millis(task.ready_in_s)
    return [
        {
            name: value
            for name, default in defaults.items()
            if (value := getattr(task, name)) != default
        }
        for task in tasks
    ]


def _row_of(row: asyncpg.Record) -> _Row:
    values: dict[str, Any] = dict(row)
    puts_domain: bool = values.pop("puts_domain")
    interval_ms, status = values.pop("interval_ms"), values.pop("last_job_status")
    values["every_s"] = None if interval_ms is None else interval_ms / 1000
    values["last_job_state"] = None if status is None else JobState(status)
    values["options"] = orjson.loads(values["options"])
    tasks: list[dict[str, Any]] = orjson.loads(values["tasks"])
    values["tasks"] = [
        NewTask(**{name: value for name, value in task.items() if name in _TASK_MEMBERS})
        for task in tasks
    ]
    unknown = sorted({name for task in tasks for name in task} - _TASK_MEMBERS)
    return _Row(ScheduleInfo(**values), puts_domain, unknown)
