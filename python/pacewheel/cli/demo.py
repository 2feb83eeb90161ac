"""`pacewheel demo`: warm the demo's site farm on this machine, and let the farm say whether it was polite.

The farm is another process, its log the truth. The jobs live in a schema of their own; what an
interrupted demo left there is cancelled first, since its farm is gone.
"""

from __future__ import annotations

import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacewheel.cli import options
from pacewheel.cli.commands import CONCURRENCY, DEMO_SCHEMA
from pacewheel.cli.engines import HANDLER, connected, run_async
from pacewheel.cli.live import reporter
from pacewheel.cli.sites import Plan, sites_of
from pacewheel.cli.warm import Ending, print_ending, warm_sites
from pacewheel.crawl.urls import authority
from pacewheel.errors import JobFinal
from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_presets import DEMO_DELAY_MS, demo_sites

if TYPE_CHECKING:
    import argparse

    from pacewheel.config import Config
    from pacewheel.loadtest.farm_log import ArrivalLog
    from pacewheel.loadtest.farm_sites import SiteSpec

LOOPBACK = "127.0.0.0/8"
# Arrivals are read from sockets by a process that shares the machine: its clock may lag by as much.
TOLERANCE_MS = 10.0
_CONNECT_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class Truth:
    """What the farm saw: all requests, those closer than permitted, and the tightest site."""

    requests: int
    violations: int
    site: str
    smallest_gap_ms: float
    permitted_gap_ms: int

    def line(self) -> str:
        """Return it as a sentence."""
        return (
            f"the farm's log: {self.requests} requests; smallest gap against the permitted one: "
            f"{self.smallest_gap_ms:.1f} of {self.permitted_gap_ms} ms ({self.site}); "
            f"violations: {self.violations} (beyond {TOLERANCE_MS:g} ms of it)"
        )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # The farm answers on loopback, which nothing but the demo opens.
    args.setting_allow_network, args.setting_schema = [LOOPBACK], DEMO_SCHEMA
    config = options.load_config(args, log_level="warning")
    specs = demo_sites()
    with (
        tempfile.TemporaryDirectory(prefix="pacewheel-demo-") as directory,
        FarmProcess(specs, Path(directory) / "arrivals.jsonl") as farm,
    ):
        labels = {authority(url): spec.name for url, spec in zip(farm.urls, specs, strict=True)}
        show = reporter(labels, quiet=args.quiet)
        ending = run_async(_warm_farm(config, farm.urls, labels, show))
        log = farm.log()
    truth = truth_of(log, specs)
    print_ending(
        ending,
        as_json=args.json,
        extra={"farm": _json(truth)},
        next_step="the demo begins anew each time",
    )
    if not args.json:
        print(truth.line())
    return ending.exit_code


def truth_of(log: ArrivalLog, specs: tuple[SiteSpec, ...]) -> Truth:
    """Compare the arrivals with the pace that each site permits: the demo's delay, or its Crawl-delay."""
    requests = violations = 0
    tightest = ("none", 0.0, 1)
    for spec in specs:
        permitted_ms = max(DEMO_DELAY_MS, round((spec.robots.crawl_delay_s or 0) * 1000))
        requests += len(log.arrivals(spec.name))
        violations += len(log.violations(spec.name, permitted_ms, TOLERANCE_MS))
        smallest_ms = log.smallest_gap_ms(spec.name)
        if smallest_ms is None:
            continue
        if tightest[0] == "none" or smallest_ms / permitted_ms < tightest[1] / tightest[2]:
            tightest = (spec.name, smallest_ms, permitted_ms)
    return Truth(requests, violations, *tightest)


async def _warm_farm(config: Config, urls: list[str], labels: dict[str, str], show: Any) -> Ending:
    await _cancel_leftovers(config)
    plan = Plan(
        concurrency=CONCURRENCY,
        delay_ms=DEMO_DELAY_MS,
        options={"user_agent": config.user_agent},
    )
    return await warm_sites(config, sites_of(urls, config.allow_network), plan, show, labels)


async def _cancel_leftovers(config: Config) -> None:
    async with connected(config) as engine:
        for info in await engine.list_jobs(live_only=True):
            if info.handler == HANDLER and not _answers(info.domain):
                try:
                    await (await engine.get_job(info.id)).cancel()
                except JobFinal:
                    continue


def _answers(domain: str) -> bool:
    host, _, port = domain.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError):
        return False
    return True


def _json(truth: Truth) -> dict[str, Any]:
    return {
        "requests": truth.requests,
        "violations": truth.violations,
        "tightest_site": truth.site,
        "smallest_gap_ms": round(truth.smallest_gap_ms, 2),
        "permitted_gap_ms": truth.permitted_gap_ms,
    }
