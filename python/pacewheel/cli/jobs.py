"""`pacewheel jobs` and `pacewheel job show|tasks|failed`: look at jobs.

Read from the database at that instant, whoever works on them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pacewheel.cli import look, options, progress
from pacewheel.cli.engines import connected, run_async
from pacewheel.cli.tables import NOTHING, aligned, facts, length
from pacewheel.clock import monotonic_ms
from pacewheel.errors import ConfigInvalid
from pacewheel.model import TaskState
from pacewheel.plain import job_json, page_json, plain, summary_json, task_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pacewheel.config import Config
    from pacewheel.engine import Engine
    from pacewheel.job_summary import JobSummary
    from pacewheel.model import FailedTask, JobInfo
    from pacewheel.overview import TaskPage, TaskRow

JOBS_MAX = 100_000
TASKS_MAX = 100_000
FAILED_COLUMNS = ("attempts", "error", "target")
TASK_COLUMNS = ("id", "state", "attempts", "status", "time", "why", "key")
COLUMNS = ("id", "site", "state", "done", "running", "failed", "rate", "ETA", "waiting")
NUMBERS = ("id", "done", "running", "failed", "rate", "ETA", "attempts", "status", "time")


class JobTable:
    """Jobs as lines, with their rates once they have been looked at for a second."""

    def __init__(self) -> None:
        """Start with no rates."""
        self._history = progress.History()

    def lines(self, infos: Sequence[JobInfo], columns: int | None = None) -> list[str]:
        """Return the jobs as aligned lines under a header."""
        self._history.note(monotonic_ms() / 1000, infos)
        rows: list[tuple[str, ...]] = [COLUMNS]
        for info, row in zip(infos, progress.rows_of(infos, self._history), strict=True):
            rows.append(
                (
                    str(info.id),
                    info.domain,
                    info.status.name.lower(),
                    progress.done(row),
                    str(info.running),
                    str(info.failed),
                    progress.rate(row.rate_per_s),
                    progress.eta(row),
                    row.waiting,
                )
            )
        return aligned(rows, numbers=NUMBERS, columns=columns)


def list_jobs(args: argparse.Namespace) -> int:
    """Print the table of jobs; returns the exit code."""
    limit = options.whole("--limit", args.limit, JOBS_MAX)
    table = JobTable()
    none = "no jobs" if args.all else "no live jobs; --all shows the final ones"

    async def read(engine: Engine) -> list[JobInfo]:
        return await engine.list_jobs(live_only=not args.all, limit=limit)

    return look.run(
        args,
        look.Look(
            read,
            lines=lambda infos, columns: table.lines(infos, columns) if infos else [none],
            objects=lambda infos: [job_json(info) for info in infos],
            name="jobs",
        ),
    )


def show_job(args: argparse.Namespace) -> int:
    """Print one job and the sums over its results; returns the exit code."""
    job_id = options.job_id(args.id)

    async def read(engine: Engine) -> tuple[JobInfo, JobSummary]:
        info = await (await engine.get_job(job_id)).info()
        return info, await engine.summarise_job(job_id)

    def values(found: tuple[JobInfo, JobSummary]) -> dict[str, Any]:
        info, summary = found
        return {**job_json(info), "results": summary_json(summary)}

    def lines(found: tuple[JobInfo, JobSummary], _columns: int | None) -> list[str]:
        shown = values(found)
        results = shown.pop("results")
        return facts([(name, _shown(value)) for name, value in (*shown.items(), *results.items())])

    return look.run(args, look.Look(read, lines, objects=lambda found: [values(found)]))


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value)
    return NOTHING if value is None else str(value)


def list_tasks(args: argparse.Namespace) -> int:
    """Print tasks of a job, those in one state if one is given; returns the exit code."""
    job_id = options.job_id(args.id)
    limit = options.whole("--limit", args.limit, TASKS_MAX)
    state = None if args.state is None else task_state(args.state)
    config = options.load_config(args, log_level="warning")
    page = run_async(_list_tasks(config, job_id, state, limit, args.after))
    if args.json:
        print(json.dumps({"job_id": job_id, **page_json(page)}))
        return 0
    if page.tasks:
        print("\n".join(task_table(page.tasks)))
    else:
        print(f"no task of job {job_id} is there" + ("" if state is None else f" and {args.state}"))
    if page.after is not None:
        print(f"there are more: --after {page.after}")
    return 0


def task_state(text: str) -> TaskState:
    """Parse a task's state.

    Raises:
        ConfigInvalid: there is no such state.
    """
    try:
        return TaskState[text.upper()]
    except KeyError:
        words = ", ".join(plain(list(TaskState)))
        raise ConfigInvalid(f"state {text!r} is refused; give one of {words}") from None


def task_table(tasks: Sequence[TaskRow]) -> list[str]:
    """Return tasks as aligned lines under a header."""
    rows = [
        (
            str(task.id),
            task.state.name.lower(),
            str(task.attempt),
            NOTHING if task.http_status is None else str(task.http_status),
            length(task.duration_ms),
            task.reason.value if task.reason is not None else task.error or task.cache or NOTHING,
            task.key,
        )
        for task in tasks
    ]
    return aligned([TASK_COLUMNS, *rows], numbers=NUMBERS)


def list_failed(args: argparse.Namespace) -> int:
    """Print the failed tasks of a job; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    job_id = options.job_id(args.id)
    limit = options.whole("--limit", args.limit, TASKS_MAX)
    tasks = run_async(_list_failed(config, job_id, limit))
    if args.json:
        print(json.dumps({"job_id": job_id, "failed": [task_json(task) for task in tasks]}))
    elif tasks:
        rows = [(str(task.attempt), failure_words(task), task.target) for task in tasks]
        print("\n".join(aligned([FAILED_COLUMNS, *rows])))
    else:
        print(f"no task of job {job_id} has failed")
    return 0


def failure_words(task: FailedTask) -> str:
    """Return what a task failed of: its error word, the HTTP status, the message."""
    words = [task.error or "unknown"]
    if task.http_status is not None:
        words.append(str(task.http_status))
    return " ".join(words) + (f": {task.message}" if task.message else "")


async def _list_tasks(
    config: Config, job_id: int, state: TaskState | None, limit: int, after: str | None
) -> TaskPage:
    async with connected(config) as engine:
        read = engine.store.overview
        return await read.list_tasks(job_id, state=state, limit=limit, after=after)


async def _list_failed(config: Config, job_id: int, limit: int) -> list[FailedTask]:
    async with connected(config) as engine:
        return await (await engine.get_job(job_id)).failed_tasks(limit=limit)
