"""`pacewheel schedule add|list|pause|resume|remove|run`: warm a site again and again.

A schedule is of one site, for its jobs are. `add` checks all that `submit` checks; the jobs are
made by running processes, whichever is first at an occurrence.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING, Any

from pacewheel.cli import options
from pacewheel.cli.engines import HANDLER, connected, run_async
from pacewheel.cli.sites import plan_of, sites_of
from pacewheel.cli.tables import aligned
from pacewheel.crawl.warm import initial_tasks
from pacewheel.errors import ConfigInvalid
from pacewheel.plain import schedule_json
from pacewheel.recurrence import Recurrence

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable
    from datetime import tzinfo

    from pacewheel.recurrence import ScheduleInfo
    from pacewheel.schedules import Schedules

COLUMNS = ("name", "site", "when", "next", "last job", "fired", "skipped")
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add(args: argparse.Namespace) -> int:
    """Create a schedule; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    recurrence = Recurrence(
        args.cron, None if args.every is None else seconds(args.every), args.zone
    )
    sites = sites_of(args.urls, config.allow_network, config.proxy)
    if len(sites) > 1:
        names = ", ".join(site.domain for site in sites)
        raise ConfigInvalid(f"a schedule warms one site, not {names}: add one for each")
    (site,) = sites
    plan = plan_of(args, config)
    warm_options = plan.options_for(site)

    async def run(schedules: Schedules) -> ScheduleInfo:
        return await schedules.create(
            args.name,
            domain=site.domain,
            handler=HANDLER,
            tasks=initial_tasks(site.urls, warm_options),
            cron=recurrence.cron,
            every_s=recurrence.every_s,
            zone=recurrence.zone,
            concurrency=plan.concurrency,
            max_tasks=plan.max_tasks,
            domain_delay_ms=plan.delay_ms,
            options=warm_options,
            expiring_first=True,
        )

    info = _do(args, run)
    words = f"schedule {info.name} warms {info.domain} {_when(info)}, first at {_instant(info)}"
    return _say(args, words, next_at=info.next_at.isoformat())


def list_all(args: argparse.Namespace) -> int:
    """Print the table of schedules; returns the exit code."""
    infos = _do(args, lambda schedules: schedules.list_all())
    if args.json:
        for info in infos:
            print(json.dumps(schedule_json(info)))
    elif infos:
        print("\n".join(aligned([COLUMNS, *map(_row, infos)])))
    else:
        print("no schedules")
    return 0


def pause(args: argparse.Namespace) -> int:
    """Make no more jobs of a schedule; returns the exit code."""
    moved = _do(args, lambda schedules: schedules.pause(args.name))
    words = "is paused; what runs of it goes on" if moved else "was paused already"
    return _say(args, f"schedule {args.name} {words}", changed=moved)


def resume(args: argparse.Namespace) -> int:
    """Go on with a paused schedule; returns the exit code."""

    async def run(schedules: Schedules) -> tuple[bool, ScheduleInfo]:
        return await schedules.resume(args.name), await schedules.get(args.name)

    moved, info = _do(args, run)
    words = f"goes on, next at {_instant(info)}" if moved else "was not paused"
    return _say(args, f"schedule {args.name} {words}", changed=moved)


def remove(args: argparse.Namespace) -> int:
    """Remove a schedule; returns the exit code."""
    _do(args, lambda schedules: schedules.remove(args.name))
    return _say(args, f"schedule {args.name} is removed; its jobs stay")


def fire(args: argparse.Namespace) -> int:
    """Make a job of a schedule now; returns the exit code."""
    job = _do(args, lambda schedules: schedules.fire(args.name))
    return _say(args, f"schedule {args.name}: job {job.id} of {job.domain}", job_id=job.id)


def seconds(text: str) -> float:
    """Parse a duration such as 90s, 30m, 6h or 1d. Raises ConfigInvalid."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if match is None:
        raise ConfigInvalid(
            f"--every {text!r} is refused; give a number and a unit: 90s, 30m, 6h or 1d"
        )
    return float(int(match[1]) * UNITS_S[match[2]])


def _do(args: argparse.Namespace, work: Callable[[Schedules], Awaitable[Any]]) -> Any:
    config = options.load_config(args, log_level="warning")

    async def run() -> Any:
        async with connected(config) as engine:
            return await work(engine.schedules)

    return run_async(run())


def _say(args: argparse.Namespace, words: str, **values: object) -> int:
    print(json.dumps({"schedule": args.name, **values}) if args.json else words)
    return 0


def _row(info: ScheduleInfo) -> tuple[str, ...]:
    state = "" if info.last_job_state is None else f" {info.last_job_state.name.lower()}"
    job = "-" if info.last_job_id is None else f"{info.last_job_id}{state}"
    next_at = "paused" if info.paused else _instant(info)
    counts = (str(info.fired), str(info.skipped_overlap))
    return (info.name, info.domain, _when(info), next_at, job, *counts)


def _when(info: ScheduleInfo) -> str:
    if info.every_s is None:
        return f"at {info.cron} {info.zone}"
    units = ((unit, unit_s) for unit, unit_s in UNITS_S.items() if info.every_s % unit_s == 0)
    unit, unit_s = max(units, key=lambda each: each[1], default=("s", 1))
    return f"every {info.every_s / unit_s:g}{unit}"


def _instant(info: ScheduleInfo) -> str:
    zone: tzinfo = UTC
    # This machine may know fewer time zones than those that fire it.
    with suppress(ConfigInvalid):
        zone = info.recurrence.time_zone()
    return info.next_at.astimezone(zone).isoformat(" ", "seconds")
