"""`pacewheel reconcile`: compare counters with tasks now, and repair what differs.

Ends with 1 when it found something, repaired or not, as a check that is run by a timer should: what
it finds is a defect worth a look.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async
from pacewheel.services.reconciler import reconcile

if TYPE_CHECKING:
    import argparse

    from pacewheel.config import Config
    from pacewheel.counters import Reconciled

EXIT_FOUND = 1


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    job_id = None if args.job is None else options.job_id(args.job)
    found = run_async(_reconcile(config, job_id, dry_run=args.dry_run))
    if args.json:
        print(json.dumps(_values(found, dry_run=args.dry_run)))
    else:
        print("\n".join(_lines(found, dry_run=args.dry_run)))
    return 0 if found.is_clean else EXIT_FOUND


async def _reconcile(config: Config, job_id: int | None, *, dry_run: bool) -> Reconciled:
    async with connected(config) as engine:
        if job_id is not None:
            await engine.get_job(job_id)
        return await reconcile(engine.store.counters, job_id, dry_run=dry_run)


def _values(found: Reconciled, *, dry_run: bool) -> dict[str, object]:
    return {
        "jobs": found.jobs,
        "repaired": not dry_run,
        "drift": [
            {
                "job_id": drift.job_id,
                "counters": {
                    name: {"kept": kept, "found": true}
                    for name, (kept, true) in drift.counters.items()
                },
            }
            for drift in found.drifts
        ],
        "orphans": {str(kind): number for kind, number in found.orphans.items()},
    }


def _lines(found: Reconciled, *, dry_run: bool) -> list[str]:
    lines = [
        f"job {drift.job_id}: {name} was {kept}, its tasks say {true}"
        for drift in found.drifts
        for name, (kept, true) in drift.counters.items()
    ]
    lines += [f"left behind: {number} {kind}" for kind, number in found.orphans.items()]
    if found.is_clean:
        return [f"{found.jobs} jobs compared: counters and tasks agree"]
    done = "nothing was changed" if dry_run else "all of it was repaired"
    return [*lines, f"{found.jobs} jobs compared: {done}"]
