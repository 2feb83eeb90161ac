"""Schedules as their users see them: recurring jobs, by name.

Owns nothing; everything a schedule is lives in the database, and every call asks or changes it
there. Running engines fire them, whichever process created them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pacewheel.errors import ConfigInvalid, ScheduleLive
from pacewheel.job import Job, check_job, finite
from pacewheel.recurrence import NewSchedule, Recurrence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pacewheel.job import Host
    from pacewheel.model import NewTask
    from pacewheel.recurrence import ScheduleInfo

TASKS_MAX = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Schedules:
    """The schedules of an engine's database."""

    def __init__(self, engine: Host) -> None:
        self._engine = engine

    async def create(
        self,
        name: str,
        *,
        domain: str,
        handler: str,
        tasks: Sequence[NewTask],
        cron: str | None = None,
        every_s: float | None = None,
        zone: str = "UTC",
        concurrency: int = 8,
        priority: float = 0.0,
        max_tasks: int | None = None,
        domain_delay_ms: int | None = None,
        options: Mapping[str, Any] | None = None,
        expiring_first: bool = False,
    ) -> ScheduleInfo:
        """Create a schedule: at each occurrence of `cron`, or every `every_s` from now, a job.

        What a job is made of is as in `Engine.create_job`; it ends when its tasks do. See
        `Recurrence` for the times and `NewSchedule` for `expiring_first`. An occurrence is skipped
        while the job before is live; occurrences that nobody was there to fire come to one.

        Raises:
            ConfigInvalid: a value can't work.
            ScheduleExists: the name is taken.
            DataRefused: a payload is no JSON, a delay no time, or a text can't be stored.
        """
        if not _NAME.fullmatch(name):
            raise ConfigInvalid(
                f"schedule name {name!r} is refused; give up to 100 letters, digits, '_', '.' or '-'"
            )
        if not 1 <= len(tasks) <= TASKS_MAX:
            raise ConfigInvalid(f"a schedule needs 1 to {TASKS_MAX} first tasks, not {len(tasks)}")
        for task in tasks:
            finite(task.priority)
        check_job(
            domain=domain,
            handler=handler,
            concurrency=concurrency,
            priority=priority,
            max_tasks=max_tasks,
            domain_delay_ms=domain_delay_ms,
        )
        new = NewSchedule(
            name=name,
            recurrence=Recurrence(cron, every_s, zone),
            domain=domain,
            handler=handler,
            tasks=tasks,
            options=options or {},
            concurrency=concurrency,
            priority=priority,
            max_tasks=max_tasks,
            domain_delay_ms=domain_delay_ms,
            expiring_first=expiring_first,
        )
        return await self._engine.store.schedules.create_schedule(new)

    async def list_all(self) -> list[ScheduleInfo]:
        """Return all schedules, by name."""
        return await self._engine.store.schedules.list_schedules()

    async def get(self, name: str) -> ScheduleInfo:
        """Return one schedule.

        Raises:
            ScheduleUnknown: there is none of this name.
        """
        return await self._engine.store.schedules.get_schedule(name)

    async def pause(self, name: str) -> bool:
        """Let it make no more jobs by itself; False when it was paused already.

        Raises:
            ScheduleUnknown: there is none of this name.
        """
        return await self._engine.store.schedules.move_schedule(name, paused=True)

    async def resume(self, name: str) -> bool:
        """Go on from its next occurrence; those of the pause are left out. False: was not paused.

        Raises:
            ScheduleUnknown: there is none of this name.
            ConfigInvalid: this process can't tell when that is; it knows fewer time zones, say.
        """
        return await self._engine.store.schedules.move_schedule(name, paused=False)

    async def remove(self, name: str) -> None:
        """Remove it; its jobs stay as they are.

        Raises:
            ScheduleUnknown: there is none of this name.
        """
        await self._engine.store.schedules.remove_schedule(name)

    async def fire(self, name: str) -> Job:
        """Make its job now, also of a paused one; its next occurrence stays where it is.

        Raises:
            ScheduleUnknown: there is none of this name.
            ScheduleLive: its last job is live.
        """
        firing = await self._engine.store.schedules.fire_schedule(name)
        if firing.job_id is None:
            raise ScheduleLive.of(name, firing.live_job_id)
        domain = (await self._engine.store.jobs.get_job(firing.job_id)).domain
        return Job(self._engine, firing.job_id, domain)
