"""`pacewheel why`: what a job, a task or a domain waits for, and until when."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async
from pacewheel.errors import ConfigInvalid
from pacewheel.model import TaskState
from pacewheel.plain import task_json, waiting_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pacewheel.config import Config
    from pacewheel.model import TaskInfo, Waiting

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def run(args: argparse.Namespace) -> int:
    """Explain a job (its number), a task of it (number and key) or a domain; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    if args.key is not None:
        task = run_async(_task(config, options.job_id(args.what), args.key))
        print(json.dumps(task_json(task)) if args.json else _task_words(task))
        return 0
    found = run_async(_waiting(config, args.what))
    if args.json:
        for each in found:
            print(json.dumps(waiting_json(each)))
    else:
        print("\n".join(_words(each) for each in found) or f"nothing of {args.what} waits")
    return 0


async def _task(config: Config, job_id: int, key: str) -> TaskInfo:
    async with connected(config) as engine:
        return await (await engine.get_job(job_id)).explain_task(key)


async def _waiting(config: Config, what: str) -> Sequence[Waiting]:
    async with connected(config) as engine:
        if what.isdecimal():
            return await (await engine.get_job(options.job_id(what))).explain()
        found = await engine.explain(domain=what)
        if not found and not await engine.list_jobs(domain=what, limit=1):
            raise ConfigInvalid(f"there is no job for domain {what}: see 'pacewheel jobs --all'")
        return found


def _words(each: Waiting) -> str:
    wait = "task waits" if each.tasks == 1 else "tasks wait"
    return (
        f"job {each.job_id}: {each.tasks} {wait}, {each.reason.value}: {each.holder}"
        f"{_when(each.expected_in_ms)}"
    )


def _task_words(task: TaskInfo) -> str:
    words = f"{task.target} is {task.state.name.lower()}"
    if task.reason is not None:
        words += f", {task.reason.value}"
    if task.holder is not None:
        words += f": {task.holder}"
    if task.state in {TaskState.PENDING, TaskState.WAITING}:
        words += _when(task.expected_in_ms)
    attempts = f"; {task.attempt} attempts so far" if task.attempt else ""
    return words + attempts + (f", the last one: {task.error}" if task.error else "")


def _when(expected_in_ms: float | None) -> str:
    if expected_in_ms is None:
        return ""
    if expected_in_ms < 1:
        return "; the first may start now"
    return f"; the first may start in {_duration(expected_in_ms)}"


def _duration(duration_ms: float) -> str:
    if duration_ms < MINUTE_MS:
        return f"{duration_ms / 1000:.1f} s"
    if duration_ms < HOUR_MS:
        return f"{duration_ms / MINUTE_MS:.0f} min"
    return f"{duration_ms / HOUR_MS:.1f} h"
