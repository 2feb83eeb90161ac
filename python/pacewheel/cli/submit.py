"""`pacewheel submit`: create the jobs of `warm` without running them.

Prints the job's id and domain, a line a site. A site that is being warmed with the same options already
gets no second job: its job's id is printed.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async
from pacewheel.cli.sites import Plan, Site, ensure_jobs, plan_of, sites_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pacewheel.config import Config


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    sites = sites_of(args.urls, config.allow_network, config.proxy)
    plan = plan_of(args, config)
    for site in sites:
        plan.options_for(site)
    ids = run_async(_submit(config, sites, plan))
    jobs = [
        {"job_id": job_id, "domain": site.domain} for job_id, site in zip(ids, sites, strict=True)
    ]
    if args.json:
        print(json.dumps({"jobs": jobs}))
    else:
        print("\n".join(f"{job['job_id']}  {job['domain']}" for job in jobs))
    return 0


async def _submit(config: Config, sites: Sequence[Site], plan: Plan) -> list[int]:
    def note(text: str) -> None:
        print(text, file=sys.stderr)

    async with connected(config) as engine:
        return await ensure_jobs(engine, sites, plan, note)
