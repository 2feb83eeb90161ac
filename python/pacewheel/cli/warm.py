"""`pacewheel warm`: warm sites until all of them are done, with progress and a summary.

Owns the one loop that `warm` and `demo` share. Whatever stops it, the jobs stay in the database,
and the same command resumes them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacewheel.cli import options, summary
from pacewheel.cli.engines import run_async, stopping, warm_engine
from pacewheel.cli.interrupt import Interrupt
from pacewheel.cli.live import Reporter, reporter
from pacewheel.cli.report import ending_words, form_of, rendered, rows_max_at_end, write
from pacewheel.cli.sites import Plan, Site, ensure_jobs, plan_of, sites_of
from pacewheel.cli.summary import SiteResult
from pacewheel.clock import monotonic_ms
from pacewheel.errors import StoreUnavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from pacewheel.config import Config
    from pacewheel.engine import Engine
    from pacewheel.model import JobInfo
    from pacewheel.report import Report

WATCH_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class Ending:
    """How a warm ended: `infos` are the last seen; `results` is None if a signal ended it."""

    exit_code: int
    infos: Sequence[JobInfo]
    results: Sequence[SiteResult] | None
    reports: Sequence[Report] = ()


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    config = options.load_config(args, log_level="warning")
    form = None if args.report is None else form_of(args.report)
    sites = sites_of(args.urls, config.allow_network, config.proxy)
    plan = plan_of(args, config)
    for site in sites:
        plan.options_for(site)
    ending = run_async(
        warm_sites(
            config,
            sites,
            plan,
            reporter(quiet=args.quiet),
            rows_max=rows_max_at_end(form, len(sites), as_json=args.json),
        )
    )
    print_ending(ending, as_json=args.json)
    if ending.results is not None and not args.json:
        print(ending_words([info.id for info in ending.infos], ending.reports))
    if ending.results is not None and form is not None:
        write(args.report, rendered(form, [(each, ()) for each in ending.reports]))
    return ending.exit_code


async def warm_sites(
    config: Config,
    sites: Sequence[Site],
    plan: Plan,
    show: Reporter,
    labels: Mapping[str, str] | None = None,
    *,
    rows_max: int = 0,
) -> Ending:
    """Warm `sites` until all their jobs are final, or a signal comes.

    `labels` gives names to domains. The caller's `show` is closed on return. Reports are made with
    lists of `rows_max` at most, without it none.

    Raises:
        PacewheelError: the database or a job's options refuse; nothing runs any more then.
    """
    infos: list[JobInfo] = []
    results: list[SiteResult] | None = None
    reports: list[Report] = []
    with Interrupt() as interrupt:
        try:
            async with warm_engine(config) as engine, stopping(engine, interrupt):
                job_ids = await ensure_jobs(engine, sites, plan, show.note)
                await engine.start()
                interrupt.drains = True
                await _watch(engine, job_ids, show, interrupt, infos)
                show.close()
                if all(info.status.is_final for info in infos):
                    results = await _results(engine, infos, labels or {})
                    if rows_max:
                        reports = await _reports(engine, infos, rows_max)
                else:
                    show.note("stopping: what runs may end; interrupt again to stop at once")
        except asyncio.CancelledError:
            if not interrupt.exit_code:
                raise
        finally:
            show.close()
    code = interrupt.exit_code if results is None else summary.exit_code(results)
    return Ending(code, infos, results, reports)


def print_ending(
    ending: Ending,
    *,
    as_json: bool,
    extra: Mapping[str, Any] | None = None,
    next_step: str = "the same command resumes it",
) -> None:
    """Print the summary, or how far an interrupted warm came and what to do next."""
    if as_json:
        content = summary.as_json(ending.infos, ending.results, ending.exit_code)
        print(json.dumps({**content, **(extra or {})}))
    if ending.results is None:
        settled = sum(info.settled for info in ending.infos)
        total = sum(info.total for info in ending.infos)
        line = f"interrupted: {settled} of {total} done; {next_step}"
        print(line, file=sys.stderr)
    elif not as_json:
        print("\n".join(summary.lines(ending.results)))


async def _watch(
    engine: Engine,
    job_ids: Sequence[int],
    show: Reporter,
    interrupt: Interrupt,
    infos: list[JobInfo],
) -> None:
    """Show the jobs until all are final or the user wants to stop; `infos` is kept up to date."""
    is_reachable = True
    while not interrupt.asked.is_set():
        try:
            read = await engine.list_jobs(ids=job_ids, limit=len(job_ids))
        except StoreUnavailable as error:
            # The engine goes on by itself when the database is back, and so does this.
            if is_reachable:
                show.note(f"{error}; still trying")
            is_reachable = False
        else:
            is_reachable = True
            by_id = {info.id: info for info in read}
            infos[:] = [by_id[job_id] for job_id in job_ids if job_id in by_id]
            show.show(monotonic_ms() / 1000, infos)
            if all(info.status.is_final for info in infos):
                return
        await interrupt.wait(WATCH_INTERVAL_S)


async def _results(
    engine: Engine, infos: Sequence[JobInfo], labels: Mapping[str, str]
) -> list[SiteResult]:
    results = []
    for info in infos:
        pages = await engine.summarise_job(info.id)
        robots = {} if pages.pages else (await engine.summarise_job(info.id, "robots")).errors
        results.append(SiteResult(labels.get(info.domain, info.domain), info, pages, robots))
    return results


async def _reports(engine: Engine, infos: Sequence[JobInfo], rows_max: int) -> list[Report]:
    return [
        await (await engine.get_job(info.id)).report(rows_max=rows_max, compared_with="previous")
        for info in infos
    ]
