"""`pacewheel prune`: say what is old, and with --yes remove it now.

What it says is what a run would do: the same statements, taken back. Running processes do it by
themselves; two at once do no harm.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async
from pacewheel.retention import Keep
from pacewheel.services.pruner import prune

if TYPE_CHECKING:
    import argparse

    from pacewheel.config import Config
    from pacewheel.retention import Pruned

WORDS = {
    "jobs": "finished jobs",
    "tasks": "tasks",
    "results": "results",
    "documents": "documents",
    "link_lists": "lists of links",
    "raises": "raises of priorities",
    "domains": "unused domains",
    "workers": "rows of dead processes",
    "pruned_jobs": "notes of jobs removed long ago",
}
DAYS = ("results_keep_days", "jobs_keep_days", "domains_keep_days", "workers_keep_days")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    pruned = run_async(_prune(config, is_real=args.yes))
    if args.json:
        values = {"removed": args.yes, "partitions": pruned.partitions, "rows": pruned.rows}
        print(json.dumps({**values, "complete": pruned.is_whole}))
    else:
        print("\n".join(_lines(config, pruned, is_real=args.yes)))
    return 0


async def _prune(config: Config, *, is_real: bool) -> Pruned:
    keep = Keep.of(config)
    async with connected(config) as engine:
        store = engine.store.retention
        return await (prune(store, keep) if is_real else store.rehearse(keep))


def _lines(config: Config, pruned: Pruned, *, is_real: bool) -> list[str]:
    kept = ", ".join(f"{name} = {getattr(config, name):g}" for name in DAYS)
    if pruned.is_nothing:
        return [f"nothing is old ({kept})"]
    lines = [f"{number:>12,} {WORDS[table]}" for table, number in pruned.rows.items()]
    lines += [f"{name:>12} (all results of a day)" for name in pruned.partitions]
    if pruned.rows.get("jobs"):
        lines.append("results of jobs that are removed stay for their own time (results_keep_days)")
    if not pruned.is_whole:
        lines.append("some results stay until the next run: something holds their table locked")
    if is_real:
        return [f"removed ({kept}):", *lines]
    return [f"old ({kept}):", *lines, "nothing was changed: say --yes to remove it"]
