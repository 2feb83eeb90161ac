"""`pacewheel job pause|resume|cancel|retry|reprioritise`: change jobs and their tasks.

Each command is one call of the Python API, whoever works on the job meanwhile; it prints what came
of it, as one sentence or, with `--json`, as one object.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async
from pacewheel.errors import ConfigInvalid

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from pacewheel.job import Job


def pause(args: argparse.Namespace) -> int:
    """Start nothing more of a job; returns the exit code."""
    moved = _change(args, lambda job: job.pause())
    words = "is paused; what runs of it ends by itself" if moved else "was paused already"
    return _say(args, f"job {args.id} {words}", changed=moved)


def resume(args: argparse.Namespace) -> int:
    """Go on with a paused job; returns the exit code."""
    moved = _change(args, lambda job: job.resume())
    return _say(args, f"job {args.id} {'goes on' if moved else 'was not paused'}", changed=moved)


def cancel(args: argparse.Namespace) -> int:
    """Cancel a job, or tasks of it; returns the exit code."""
    if args.keys:
        cancelled = _change(args, lambda job: job.cancel_tasks(args.keys))
        return _say(args, f"{cancelled} tasks are cancelled", tasks_cancelled=cancelled)
    cancelled = _change(args, lambda job: job.cancel())
    words = f"job {args.id} is cancelled, and {cancelled} tasks with it"
    return _say(args, words, tasks_cancelled=cancelled)


def retry(args: argparse.Namespace) -> int:
    """Run failed tasks again; returns the exit code."""
    job, retried = _change(args, lambda job: job.retry_failed(args.keys or None))
    words = f"{retried} tasks run again in job {job.id}" if retried else "nothing of it failed"
    return _say(args, words, tasks_retried=retried, retried_in_job_id=job.id)


def reprioritise(args: argparse.Namespace) -> int:
    """Give a job or tasks of it another priority; returns the exit code."""
    try:
        priority = float(args.priority)
    except ValueError:
        raise ConfigInvalid(f"priority {args.priority!r} is no number: give one like 0.5") from None
    if args.keys:
        wanted = dict.fromkeys(args.keys, priority)
        changed = _change(args, lambda job: job.reprioritise_tasks(wanted))
        return _say(args, f"{changed} tasks have priority {priority:g} now", tasks_changed=changed)
    _change(args, lambda job: job.reprioritise(priority))
    return _say(args, f"job {args.id} has priority {priority:g} now")


def _change(args: argparse.Namespace, change: Callable[[Job], Awaitable[Any]]) -> Any:
    config = options.load_config(args, log_level="warning")
    job_id = options.job_id(args.id)

    async def run() -> Any:
        async with connected(config) as engine:
            return await change(await engine.get_job(job_id))

    return run_async(run())


def _say(args: argparse.Namespace, words: str, **values: object) -> int:
    print(json.dumps({"job_id": int(args.id), **values}) if args.json else words)
    return 0
