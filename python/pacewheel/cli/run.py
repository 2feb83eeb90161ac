"""`pacewheel run`: the daemon, which works on all jobs until it is told to stop.

Logs what it decides; waits for a database that is away, at the start too; ends with 0 after an
orderly drain, which is what SIGTERM asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import disable_created_metrics

from pacewheel import events
from pacewheel.cli import options
from pacewheel.cli.engines import run_async, warm_engine
from pacewheel.config import settings
from pacewheel.logs import Logger

if TYPE_CHECKING:
    import argparse

    from pacewheel.config import Config

log = Logger("cli.run")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # The times at which counters were made would be as many series again, and serve nobody.
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library has no type for it
    run_async(_run_until_signal(options.load_config(args)))
    return 0


async def _run_until_signal(config: Config) -> None:
    async with warm_engine(config) as engine:
        log.say(
            events.PROCESS_STARTING,
            settings={name: getattr(config, name) for name in settings()},
        )
        await engine.run()
        log.say(events.PROCESS_STOPPED)
