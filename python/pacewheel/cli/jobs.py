"""`pacewheel jobs` and `pacewheel job show|failed`: look at jobs.

Read from the database at that instant, whoever works on them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async
from pacewheel.cli.progress import waiting_words
from pacewheel.crawl.headers import without_secrets
from pacewheel.report.words import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pacewheel.config import Config
    from pacewheel.job_summary import JobSummary
    from pacewheel.model import FailedTask, JobInfo
    from pacewheel.recurrence import ScheduleInfo

JOBS_MAX = 100_000
FAILED_MAX = 100_000
FAILED_COLUMNS = ("attempts", "error", "target")
COLUMNS = ("id", "site", "state", "done", "total", "running", "failed", "waiting")


def list_jobs(args: argparse.Namespace) -> int:
    """Print the table of jobs; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    limit = options.whole("--limit", args.limit, JOBS_MAX)
    infos = run_async(_list(config, live_only=not args.all, limit=limit))
    if args.json:
        for info in infos:
            print(json.dumps(plainly(info)))
    elif infos:
        print("\n".join(table(infos)))
    else:
        print("no jobs" if args.all else "no live jobs; --all shows the final ones")
    return 0


def show_job(args: argparse.Namespace) -> int:
    """Print one job and the sums over its results; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    job_id = options.job_id(args.id)
    info, summary = run_async(_show(config, job_id))
    values = {**plainly(info), "results": jsonable(asdict(summary))}
    if args.json:
        print(json.dumps(values))
        return 0
    results = values.pop("results")
    for name, value in (*values.items(), *results.items()):
        shown = json.dumps(value) if isinstance(value, dict | list) else value
        print(f"{name:<17} {'-' if shown is None else shown}")
    return 0


def list_failed(args: argparse.Namespace) -> int:
    """Print the failed tasks of a job; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    job_id = options.job_id(args.id)
    limit = options.whole("--limit", args.limit, FAILED_MAX)
    tasks = run_async(_list_failed(config, job_id, limit))
    if args.json:
        print(json.dumps({"job_id": job_id, "failed": [jsonable(asdict(task)) for task in tasks]}))
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


def table(infos: Sequence[JobInfo]) -> list[str]:
    """Return the jobs as aligned lines under a header."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for info in infos:
        numbers = (info.settled, info.total, info.running, info.failed)
        state = info.status.name.lower()
        words = waiting_words(info)
        rows.append((str(info.id), info.domain, state, *map(str, numbers), words))
    return aligned(rows)


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows of words as lines whose columns stand below one another, fit for a terminal."""
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def plainly(info: JobInfo | ScheduleInfo) -> dict[str, Any]:
    """Return a job or a schedule as plain values, without the values of its headers."""
    return jsonable({**asdict(info), "options": without_secrets(info.options)})


def jsonable(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with times in ISO 8601 and states as words."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.name.lower() if isinstance(value, IntEnum) else value


async def _list(config: Config, *, live_only: bool, limit: int) -> list[JobInfo]:
    async with connected(config) as engine:
        return await engine.list_jobs(live_only=live_only, limit=limit)


async def _show(config: Config, job_id: int) -> tuple[JobInfo, JobSummary]:
    async with connected(config) as engine:
        info = await (await engine.get_job(job_id)).info()
        return info, await engine.summarise_job(job_id)


async def _list_failed(config: Config, job_id: int, limit: int) -> list[FailedTask]:
    async with connected(config) as engine:
        return await (await engine.get_job(job_id)).failed_tasks(limit=limit)
