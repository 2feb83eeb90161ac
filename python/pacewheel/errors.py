"""The one exception tree.

Owns every error that pacewheel raises on purpose. Each message is one line that names the condition
and the next step, because the command line prints it as it is; `exit_code` is what the command line
then returns (the table stands in README.md). Anything outside this tree is a defect, and is shown
as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from datetime import datetime


class PacewheelError(Exception):
    """Base of all errors; catch this to catch everything pacewheel raises on purpose."""

    exit_code: ClassVar[int] = 1


class ConfigInvalid(PacewheelError):
    """An option, a config key or a value is unknown or can't be parsed."""

    exit_code = 2


class TargetRefused(PacewheelError):
    """A URL or an address that pacewheel will not request: malformed, unsupported or not allowed."""

    exit_code = 2


class LineRefused(PacewheelError):
    """A line of a filter's input lacks what the filter needs; it becomes that line's answer."""

    exit_code = 2


class StoreError(PacewheelError):
    """The database refused a statement, or answered what it should not."""

    exit_code = 3


class StoreUnavailable(StoreError):
    """The database can't be reached, refuses the connection, or is not writable now."""


class StoreRefused(StoreUnavailable):
    """The server is there and refuses this DSN: somebody has to correct one of the two."""


class DataRefused(StoreError):
    """A value can't be stored: the same statement would fail again, however often."""


class LoadFailed(PacewheelError):
    """What a cache was asked for could not be loaded; its cause is attached. Nothing was kept."""

    exit_code = 3


class LeaseLost(StoreError):
    """This process no longer owns the domain: nothing of it may be started or settled here."""


class EngineFailed(PacewheelError):
    """A part of the engine failed again and again: a defect; what was not settled runs again."""

    exit_code = 70


class DomainBlocked(PacewheelError):
    """The domain asked for a pause while the task was on its way: it is pending again."""


class JobFinal(StoreError):
    """The job is completed, failed or cancelled: it takes no tasks and no change of state."""

    exit_code = 2

    @classmethod
    def of(cls, job_id: int, state: str) -> Self:
        """Return the error that says so of this job."""
        return cls(f"job {job_id} is {state.lower()} and takes no more changes: create a new one")


class JobUnknown(StoreError):
    """No job has this id."""

    exit_code = 2

    @classmethod
    def of(cls, job_id: int) -> Self:
        """Return the error that says so of this id."""
        return cls(f"there is no job {job_id}: see 'pacewheel jobs --all'")


class JobPruned(JobUnknown):
    """The job was removed by retention, with its tasks."""

    @classmethod
    def that(cls, job_id: int, domain: str, finished_at: datetime, pruned_at: datetime) -> Self:
        """Return the error that says so of this job."""
        return cls(
            f"job {job_id} of {domain}, which ended on {finished_at:%Y-%m-%d}, was removed on "
            f"{pruned_at:%Y-%m-%d}: finished jobs are kept for a time (setting jobs_keep_days)"
        )


class TaskUnknown(StoreError):
    """The job has no task with this key."""

    exit_code = 2


class DomainUnknown(StoreError):
    """No domain has this name."""

    exit_code = 2

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the error that says so of this name."""
        return cls(f"there is no domain {name!r}: see 'pacewheel domains --all'")


class ScheduleUnknown(StoreError):
    """No schedule has this name."""

    exit_code = 2

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the error that says so of this name."""
        return cls(f"there is no schedule {name!r}: see 'pacewheel schedule list'")


class ScheduleExists(StoreError):
    """A schedule has this name already."""

    exit_code = 2

    @classmethod
    def of(cls, name: str) -> Self:
        """Return the error that says so of this name."""
        return cls(
            f"there is a schedule {name!r} already: take another name, or remove that one first by "
            f"'pacewheel schedule remove {name}'"
        )


class ScheduleLive(StoreError):
    """The last job of the schedule is not final, and none of them overlap."""

    exit_code = 2

    @classmethod
    def of(cls, name: str, job_id: int | None) -> Self:
        """Return the error that says so of this schedule and job."""
        return cls(
            f"job {job_id} of schedule {name!r} is still live: wait for its end, or end it by "
            f"'pacewheel job cancel {job_id}'"
        )


class SchemaMismatch(StoreError):
    """The database's schema is missing, older or newer than this code, or the server is too old."""

    exit_code = 4


class EmbeddedError(PacewheelError):
    """The embedded PostgreSQL can't be installed, started or stopped."""

    exit_code = 5
