"""From URLs to sites and from sites to jobs: one warm job a site, joined when it is there already.

Owns what several `warm` and `submit` processes on one database have to agree on: of jobs created
at the same moment for one site the oldest stays, and a job with other options is never changed.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from pacewheel.cli import options
from pacewheel.cli.engines import HANDLER
from pacewheel.crawl.guard import AddressGuard
from pacewheel.crawl.options import RECHECKS_MOST
from pacewheel.crawl.urls import Url, parse
from pacewheel.crawl.warm import initial_tasks, validate_options
from pacewheel.errors import ConfigInvalid, TargetRefused
from pacewheel.model import JobState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pacewheel.config import Config
    from pacewheel.engine import Engine
    from pacewheel.model import JobInfo

SITES_MAX = 1_000
CONCURRENCY_MAX = 10_000
PAGES_MAX = 100_000_000
QUERIES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Site:
    """One authority (host, with its port unless that is the scheme's) and the URLs to start from."""

    domain: str
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How every site of one command is warmed; `options` are the handler's, without `start`."""

    concurrency: int
    delay_ms: int
    max_pages: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def max_tasks(self) -> int | None:
        """The job's limit: the pages, and robots.txt."""
        return None if self.max_pages is None else self.max_pages + 1

    def options_for(self, site: Site) -> dict[str, Any]:
        """Return the job's options, checked and complete.

        Raises:
            ConfigInvalid: a value can't be accepted.
        """
        return validate_options(
            {**self.options, "start": list(site.urls), "max_pages": self.max_pages}
        )

    def differences(self, site: Site, info: JobInfo) -> list[str]:
        """Name the options in which a live job of `site` differs from this plan."""
        ours = {**self.options_for(site), "concurrency": self.concurrency}
        # A job of an earlier version may lack an option that there was not yet.
        theirs = {**validate_options({}), **info.options, "concurrency": info.concurrency}
        found = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
        # The row knows the longer of the delay asked for and the site's Crawl-delay: only less is telling.
        return [*found, "delay"] if info.gap_ms < self.delay_ms else found


def plan_of(args: argparse.Namespace, config: Config) -> Plan:
    """Return what the warm options on the command line ask for.

    Raises:
        ConfigInvalid: a value can't be accepted.
    """
    max_pages = None
    if args.max_pages is not None:
        max_pages = options.whole("--max-pages", args.max_pages, PAGES_MAX)
    conditional_on = None
    if args.conditional_on is not None:
        conditional_on = options.whole("--conditional-on", args.conditional_on, options.ID_MAX)
    return Plan(
        concurrency=options.whole("--concurrency", args.concurrency, CONCURRENCY_MAX),
        delay_ms=options.milliseconds("--delay", args.delay),
        max_pages=max_pages,
        options={
            "links": not args.no_links,
            "sitemap": not args.no_sitemap,
            "record_links": not args.no_link_record,
            "include": args.include or [],
            "exclude": args.exclude or [],
            "rechecks": options.whole("--rechecks", args.rechecks, RECHECKS_MOST, least=0),
            "rechecks_max": options.whole("--rechecks-max", args.rechecks_max, PAGES_MAX, least=0),
            "subdomains": args.subdomains,
            "www": args.www,
            "drop_tracking": args.drop_tracking,
            "sort_query": args.sort_query,
            "max_queries": _max_queries(args.max_queries),
            "user_agent": config.user_agent,
            "headers": _headers(args.header or []),
            "conditional_on": conditional_on,
            "latency_factor": options.number("--latency-factor", args.latency_factor),
        },
    )


def _max_queries(text: str) -> int | None:
    return None if text == "all" else options.whole("--max-queries", text, QUERIES_MAX)


def sites_of(
    urls: Sequence[str], allow_network: Sequence[str], proxy: str | None = None
) -> list[Site]:
    """Group URLs by site, in the order given. With a `proxy`, names are its business.

    Raises:
        TargetRefused: a URL is malformed or its scheme unsupported, its host is a refused address
            or does not exist.
        ConfigInvalid: there are too many sites for one command.
    """
    guard = AddressGuard([ip_network(network) for network in allow_network])
    found: dict[str, list[Url]] = {}
    for text in urls:
        url = parse(text)
        found.setdefault(url.authority, []).append(url)
    if len(found) > SITES_MAX:
        raise ConfigInvalid(f"{len(found)} sites are more than {SITES_MAX}; split the command")
    for same_site in found.values():
        _refuse_host(same_site[0], guard, resolves=proxy is None)
    return [
        Site(domain, tuple(dict.fromkeys(url.href for url in same_site)))
        for domain, same_site in found.items()
    ]


async def ensure_jobs(
    engine: Engine, sites: Sequence[Site], plan: Plan, note: Callable[[str], None]
) -> list[int]:
    """Return the id of each site's warm job: one that is there, or a new one.

    A live job with these options is joined. When there is one, the same command ran before: what it
    completed since then is not done again. Nothing is created unless every site can be.

    Raises:
        ConfigInvalid: a live job of a site has other options.
        StoreError: the database refuses.
    """
    live = [await _live_job(engine, site, plan) for site in sites]
    began = min((info.created_at for info in live if info is not None), default=None)
    job_ids = []
    for site, info in zip(sites, live, strict=True):
        known = info or await _completed_since(engine, site, plan, began)
        if known is None:
            job_ids.append(await _create_job(engine, site, plan))
            continue
        word = "resuming" if info else "completed already:"
        note(f"{word} job {known.id} of {known.domain}: {known.settled} of {known.total} done")
        job_ids.append(known.id)
    return job_ids


def _headers(given: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon:
            raise ConfigInvalid("a --header has no colon; write it as 'Name: value'")
        if name in headers:
            raise ConfigInvalid(f"--header {name[:100]!r} is given twice; leave one of them out")
        headers[name] = value.strip(" \t")
    return headers


async def _live_job(engine: Engine, site: Site, plan: Plan) -> JobInfo | None:
    infos = await engine.list_jobs(domain=site.domain, live_only=True)
    warm = [info for info in infos if info.handler == HANDLER]
    info = min(warm, key=lambda info: info.id, default=None)
    if info is not None:
        _refuse_different(site, plan, info)
    return info


def _refuse_different(site: Site, plan: Plan, info: JobInfo) -> None:
    different = plan.differences(site, info)
    if different:
        raise ConfigInvalid(
            f"job {info.id} is warming {site.domain} with another {', '.join(different)}; join it with "
            f"the options it was started with, or end it by `pacewheel job cancel {info.id}`"
        )


async def _completed_since(
    engine: Engine, site: Site, plan: Plan, began: datetime | None
) -> JobInfo | None:
    if began is None:
        return None
    for info in await engine.list_jobs(domain=site.domain, limit=1):
        ended = info.finished_at if info.status is JobState.COMPLETED else None
        is_ours = info.handler == HANDLER and not plan.differences(site, info)
        if is_ours and ended is not None and ended >= began:
            return info
    return None


async def _create_job(engine: Engine, site: Site, plan: Plan) -> int:
    options = plan.options_for(site)
    job = await engine.create_job(
        domain=site.domain,
        handler=HANDLER,
        concurrency=plan.concurrency,
        max_tasks=plan.max_tasks,
        domain_delay_ms=plan.delay_ms,
        options=options,
        tasks=initial_tasks(site.urls, options),
        discovery_open=False,
        unless_live=True,
    )
    # Another command may have been faster: its job is joined, if it is the same.
    _refuse_different(site, plan, await job.info())
    return job.id


def _refuse_host(url: Url, guard: AddressGuard, *, resolves: bool) -> None:
    host = url.host.strip("[]").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        try:
            guard.check("127.0.0.1", url.port)
        except TargetRefused:
            raise TargetRefused(
                f"host {host!r} is this machine and refused: "
                "pass --allow-network 127.0.0.0/8 --allow-network ::1/128 if you mean to request it"
            ) from None
        return
    try:
        address = ip_address(host)
    except ValueError:
        if resolves:
            _refuse_unknown_name(host)
    else:
        guard.check(address, url.port)


def _refuse_unknown_name(host: str) -> None:
    # What the name resolves to is checked by the guarded client at every request, and what is only
    # temporarily unresolved is tried again by the tasks.
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            raise TargetRefused(f"host {host!r} does not resolve: check the name") from None
    except UnicodeError:
        raise TargetRefused(f"host {host!r} is no host name: check it") from None
