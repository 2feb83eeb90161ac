"""pacewheel: a PostgreSQL-backed task engine for polite work at scale.

Public names only. `Engine` is imported when it is first asked for, so that modules which need
nothing of it (the crawler's, the site farm's) load without a database driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pacewheel.config import Config
from pacewheel.errors import PacewheelError
from pacewheel.job_summary import JobSummary
from pacewheel.model import (
    Enqueued,
    FailedTask,
    JobFacts,
    JobInfo,
    JobState,
    NewTask,
    Outcome,
    OutcomeKind,
    Raised,
    StuckJob,
    Task,
    TaskInfo,
    TaskState,
    Waiting,
    WaitingReason,
)
from pacewheel.pacing import Breaker
from pacewheel.recurrence import ScheduleInfo

if TYPE_CHECKING:
    from pacewheel.engine import Engine
    from pacewheel.job import Job

__all__ = [
    "Breaker",
    "Config",
    "Engine",
    "Enqueued",
    "FailedTask",
    "Job",
    "JobFacts",
    "JobInfo",
    "JobState",
    "JobSummary",
    "NewTask",
    "Outcome",
    "OutcomeKind",
    "PacewheelError",
    "Raised",
    "ScheduleInfo",
    "StuckJob",
    "Task",
    "TaskInfo",
    "TaskState",
    "Waiting",
    "WaitingReason",
]


def __getattr__(name: str) -> Any:
    if name in {"Engine", "Job"}:
        from pacewheel import engine  # noqa: PLC0415 - see the module's docstring

        return getattr(engine, name)
    message = f"module 'pacewheel' has no attribute {name!r}"
    raise AttributeError(message)
