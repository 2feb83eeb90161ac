"""`pacewheel job pause|resume|cancel|retry|reprioritise`, `domain delay`: change jobs and domains.

Each prints what came of it, as one sentence or, with `--json`, as one object.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pacewheel import changes
from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from pacewheel.changes import Change
    from pacewheel.job import Job


def pause(args: argparse.Namespace) -> int:
    """Start nothing more of a job; returns the exit code."""
    return _change(args, changes.pause)


def resume(args: argparse.Namespace) -> int:
    """Go on with a paused job; returns the exit code."""
    return _change(args, changes.resume)


def cancel(args: argparse.Namespace) -> int:
    """Cancel a job, or tasks of it; returns the exit code."""
    return _change(args, lambda job: changes.cancel(job, args.keys))


def retry(args: argparse.Namespace) -> int:
    """Run failed tasks again; returns the exit code."""
    return _change(args, lambda job: changes.retry(job, args.keys))


def reprioritise(args: argparse.Namespace) -> int:
    """Give a job or tasks of it another priority; returns the exit code."""
    return _change(args, lambda job: changes.reprioritise(job, args.priority, args.keys))


def set_delay(args: argparse.Namespace) -> int:
    """Set the least gap of a domain; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    delay_ms = options.milliseconds("delay", args.seconds)

    async def run() -> Change:
        async with connected(config) as engine:
            return await changes.set_delay(engine.store.changes, args.domain, delay_ms)

    done = run_async(run())
    print(json.dumps(done.values) if args.json else done.words)
    return 0


def _change(args: argparse.Namespace, change: Callable[[Job], Awaitable[Change]]) -> int:
    config = options.load_config(args, log_level="warning")
    job_id = options.job_id(args.id)

    async def run() -> Change:
        async with connected(config) as engine:
            return await change(await engine.get_job(job_id))

    done = run_async(run())
    print(json.dumps({"job_id": job_id, **done.values}) if args.json else done.words)
    return 0
