"""`pacewheel domains` and `pacewheel domain show`: every site's gate, and who waits at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacewheel.cli import look, options
from pacewheel.cli.jobs import JobTable
from pacewheel.cli.tables import NOTHING, aligned, facts, gap, moment, some, wait
from pacewheel.cli.waiting import waiting_lines
from pacewheel.errors import ConfigInvalid
from pacewheel.overview import DomainSort
from pacewheel.plain import domain_json, job_json, plain, waiting_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pacewheel.engine import Engine
    from pacewheel.model import JobInfo, Waiting
    from pacewheel.overview import DomainInfo

DOMAINS_MAX = 100_000
JOBS_MAX = 100
COLUMNS = (
    *("domain", "gap", "set by", "next slot", "running", "pending", "waiting"),
    *("blocked", "jobs", "worker", "last 429 or 503"),
)
NUMBERS = ("gap", "next slot", "running", "pending", "waiting", "jobs", "worker")


def list_domains(args: argparse.Namespace) -> int:
    """Print the table of domains; returns the exit code."""
    limit = options.whole("--limit", args.limit, DOMAINS_MAX)
    try:
        sort = DomainSort(args.sort)
    except ValueError:
        words = ", ".join(plain(list(DomainSort)))
        raise ConfigInvalid(f"--sort {args.sort!r} is refused; give one of {words}") from None
    none = "no domains" if args.all else "no domain has a live job; --all shows the others too"
    if args.search is not None:
        none = f"no domain's name contains {args.search!r}"

    async def read(engine: Engine) -> list[DomainInfo]:
        return await engine.store.overview.list_domains(
            search=args.search, live_only=not args.all, sort=sort, limit=limit
        )

    return look.run(
        args,
        look.Look(
            read,
            lines=lambda infos, columns: table(infos, columns) if infos else [none],
            objects=lambda infos: [domain_json(info) for info in infos],
            name="domains",
        ),
    )


def table(infos: Sequence[DomainInfo], columns: int | None = None) -> list[str]:
    """Return domains as aligned lines under a header."""
    return aligned([COLUMNS, *(cells(info) for info in infos)], numbers=NUMBERS, columns=columns)


def cells(info: DomainInfo) -> tuple[str, ...]:
    """Return the words for each column of a domain."""
    return (
        info.name,
        gap(info.gap_ms),
        set_by(info),
        next_slot(info),
        some(info.running),
        some(info.pending),
        some(info.waiting),
        blocked(info),
        some(info.live_jobs),
        NOTHING if info.owner is None else str(info.owner),
        moment(info.refused_at),
    )


def set_by(info: DomainInfo) -> str:
    """Return which of its parts the gap is as long as."""
    if info.gap_ms == 0:
        return NOTHING
    if info.adaptive_delay_ms == info.gap_ms:
        return "429s"
    return "robots.txt" if info.robots_delay_ms == info.gap_ms else "user"


def next_slot(info: DomainInfo) -> str:
    """Return when the next request may start: not before a block is over."""
    return wait(max(info.next_slot_in_ms, info.blocked_in_ms or 0.0))


def blocked(info: DomainInfo) -> str:
    """Return why nothing of a domain may start, and for how long."""
    if info.blocked_in_ms is None:
        return NOTHING
    # Once an open circuit's time is over, the next request is a trial.
    until = f", {wait(info.blocked_in_ms)}" if info.blocked_in_ms else ""
    return f"{info.block_reason}{until}"


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain with its live jobs and with what waits in it."""

    info: DomainInfo
    jobs: list[JobInfo]
    waiting: list[Waiting]


def show_domain(args: argparse.Namespace) -> int:
    """Print one domain with its live jobs; returns the exit code."""
    jobs = JobTable()

    async def read(engine: Engine) -> Domain:
        info = await engine.store.overview.get_domain(args.name)
        found = await engine.list_jobs(domain=args.name, live_only=True, limit=JOBS_MAX)
        return Domain(info, found, await engine.explain(domain=args.name))

    def lines(domain: Domain, columns: int | None) -> list[str]:
        shown = facts(about(domain.info))
        if domain.jobs:
            shown += ["", *jobs.lines(domain.jobs, columns)]
        if domain.waiting:
            shown += ["", *waiting_lines(domain.waiting)]
        return shown

    def values(domain: Domain) -> dict[str, Any]:
        return {
            "domain": domain_json(domain.info),
            "jobs": [job_json(info) for info in domain.jobs],
            "waiting": [waiting_json(each) for each in domain.waiting],
        }

    return look.run(args, look.Look(read, lines, objects=lambda domain: [values(domain)]))


def about(info: DomainInfo) -> list[tuple[str, str]]:
    """Return what is to be said of a domain, by name."""
    parts = [
        f"{name} {gap(part_ms)}"
        for name, part_ms in (
            ("user", info.base_delay_ms),
            ("robots.txt", info.robots_delay_ms),
            ("429s", info.adaptive_delay_ms),
        )
        if part_ms
    ]
    longest = f", the longest of: {', '.join(parts)}" if len(parts) > 1 else ""
    return [
        ("domain", info.name),
        ("gap", gap(info.gap_ms) + (longest or (f", set by {set_by(info)}" if parts else ""))),
        ("next slot", next_slot(info)),
        ("blocked", blocked(info)),
        ("last 429 or 503", moment(info.refused_at)),
        ("failures in a row", str(info.failures)),
        ("worker", NOTHING if info.owner is None else str(info.owner)),
        ("live jobs", str(info.live_jobs)),
        ("tasks", f"{info.running} running, {info.pending} pending, {info.waiting} waiting"),
        ("of its live jobs", f"{info.completed} completed, {info.failed} failed"),
    ]
