"""The JSON forms of what people see: the command line's `--json` and the API print exactly these.

Times in ISO 8601, states and reasons as words, durations in milliseconds unless the name says
otherwise. A task's id, of 64 bits, is text: not every reader of JSON keeps so many bits. The
values of headers, which may be secrets, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any

from pacewheel.crawl.headers import without_secrets

if TYPE_CHECKING:
    from pacewheel.job_summary import JobSummary
    from pacewheel.model import FailedTask, JobInfo, StuckJob, TaskInfo, Waiting
    from pacewheel.overview import (
        DomainInfo,
        SlowStatement,
        TaskDetail,
        TaskPage,
        TaskRow,
        Totals,
        WorkerInfo,
    )
    from pacewheel.recurrence import ScheduleInfo


# Most values. Pages of hundreds of jobs are made on the loop that paces requests: with these told
# apart first, and no copy made before, five hundred jobs take 10 ms instead of 130.
_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """Return a value, or what is in it, as JSON knows it; a dataclass by the names of its fields."""
    if type(value) in _AS_THEY_ARE:
        return value
    match value:
        case datetime():
            return value.isoformat()
        case IntEnum():
            return value.name.lower()
        case StrEnum():
            return value.value
        case Mapping():
            return {plain(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
    return _values(value) if is_dataclass(value) else value


def _values(value: Any, **instead: Any) -> dict[str, Any]:
    return {
        name: plain(instead[name] if name in instead else getattr(value, name))
        for name in value.__dataclass_fields__
    }


def totals_json(totals: Totals) -> dict[str, Any]:
    """Return the sums over all live jobs."""
    return {**_values(totals), "live": totals.live}


def job_json(info: JobInfo) -> dict[str, Any]:
    """Return a job."""
    return _values(info, options=without_secrets(info.options))


def summary_json(summary: JobSummary) -> dict[str, Any]:
    """Return the sums over a job's results."""
    return _values(summary)


def waiting_json(waiting: Waiting) -> dict[str, Any]:
    """Return how many tasks of a job wait for one reason."""
    return _values(waiting)


def stuck_json(stuck: StuckJob) -> dict[str, Any]:
    """Return a job that is stuck."""
    return _values(stuck)


def schedule_json(info: ScheduleInfo) -> dict[str, Any]:
    """Return a schedule."""
    return _values(info, options=without_secrets(info.options))


def domain_json(info: DomainInfo) -> dict[str, Any]:
    """Return a domain."""
    return {**_values(info), "live": info.live}


def worker_json(info: WorkerInfo) -> dict[str, Any]:
    """Return a process."""
    return _values(info)


def slow_json(slow: SlowStatement) -> dict[str, Any]:
    """Return a statement that has been running for long."""
    return _values(slow)


def task_json(task: TaskInfo | TaskRow | FailedTask) -> dict[str, Any]:
    """Return a task."""
    return _values(task, id=str(task.id))


def page_json(page: TaskPage) -> dict[str, Any]:
    """Return part of a list of tasks, and where to read on."""
    return {"tasks": [task_json(task) for task in page.tasks], "after": page.after}


def detail_json(detail: TaskDetail) -> dict[str, Any]:
    """Return a task with its attempts."""
    return {**task_json(detail.task), "attempts": [_values(each) for each in detail.attempts]}
