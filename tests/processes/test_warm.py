"""The real warm handler on the site farm, by one process and by four, and interrupted."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_log import ArrivalLog
from pacewheel.loadtest.farm_pages import truth
from pacewheel.loadtest.farm_sites import Cdn, RateLimit, Redirect, Robots, SiteSpec
from tests.commands import environment
from tests.conftest import FAST, fetch, until
from tests.politeness import assert_the_reports_prove_it
from tests.processes.fleet import count

DELAY_MS = 100
WARM_TIMEOUT_S = 200.0

SITES = (
    SiteSpec(name="index", pages=24, seed=1, sitemap="index", sitemap_child_pages=9),
    SiteSpec(name="strict", pages=10, seed=2, robots=Robots(crawl_delay_s=0.25)),
    SiteSpec(name="rules", pages=20, seed=3, robots=Robots(disallow=("/archive/",))),
    SiteSpec(name="limited", pages=11, seed=4, rate_limit=RateLimit(after_requests=7, retry_after_s=1)),
    SiteSpec(
        name="links",
        pages=20,
        seed=5,
        sitemap="none",
        robots=Robots(missing=True),
        unavailable=((17, 404),),
        redirects=(Redirect(source="/moved", target="/"),),
    ),
    SiteSpec(name="cached", pages=14, seed=6, latency_ms=100, cdn=Cdn(vendor="cloudflare")),
)  # fmt: skip
SITE_NAMES = [spec.name for spec in SITES]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[FarmProcess]:
    """The sites, in a process of their own."""
    with FarmProcess(SITES, tmp_path / "arrivals.jsonl") as started:
        yield started


class Warms:
    """Processes of `pacewheel warm` on one database."""

    def __init__(self, dsn: str, urls: list[str]) -> None:
        self._command = [
            *(sys.executable, "-m", "pacewheel", "warm", *urls, "--dsn", dsn, "--json"),
            *("--delay", f"{DELAY_MS / 1000}", "--allow-network", "127.0.0.0/8"),
        ]
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, **settings: float) -> subprocess.Popen[bytes]:
        """Start one more, with these settings."""
        process = subprocess.Popen(
            self._command,
            env=environment(**{f"PACEWHEEL_{n.upper()}": str(v) for n, v in settings.items()}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._all.append(process)
        return process

    async def end_of(self, process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
        """Wait for the end; return exit code, standard output and standard error."""
        out, err = await asyncio.to_thread(process.communicate, None, WARM_TIMEOUT_S)
        return process.returncode, out, err

    def kill(self) -> None:
        """Kill what still runs."""
        for process in self._all:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.fixture
def warms(dsn: str, farm: FarmProcess) -> Iterator[Warms]:
    """Warms of the whole farm, dead when the test ends."""
    made = Warms(dsn, farm.urls)
    yield made
    made.kill()


def assert_complete(log: ArrivalLog) -> None:
    """Every page that there is was fetched, and none that robots.txt forbids."""
    for spec in SITES:
        missing = truth(spec) - log.pages_served(spec.name)
        assert (spec.name, frozenset()) == (spec.name, missing)
        if spec.robots.disallow:
            assert [] == [
                a.path for a in log.arrivals(spec.name) if a.path.startswith(spec.robots.disallow)
            ]


def fetched_too_often(log: ArrivalLog) -> dict[tuple[str, str], int]:
    """What was answered with 200 more than once, or than twice where a miss becomes a hit."""
    fetched = Counter(
        (site, a.path) for site in log.sites() for a in log.arrivals(site) if a.status == 200
    )
    return {page: times for page, times in fetched.items() if times > 1 + (page[0] == "cached")}


@pytest.mark.parametrize("processes", [1, 4])
async def test_a_farm_is_warmed_completely_and_politely(
    warms: Warms, farm: FarmProcess, dsn: str, processes: int
) -> None:
    """Started at the same moment on one database, they share one job a site and fetch nothing too often."""
    started = [warms.start() for _ in range(processes)]
    for code, out, err in await asyncio.gather(*map(warms.end_of, started)):
        assert (0, b"") == (code, err if b"Traceback" in err else b"")
        assert json.loads(out)
    log = farm.log()
    assert_complete(log)
    assert {} == fetched_too_often(log)
    twice = Counter(a.path for a in log.arrivals("cached"))
    assert truth(SITES[5]) == {path for path, times in twice.items() if times == 2}
    await assert_the_reports_prove_it(dsn, farm, SITE_NAMES)
    assert len(SITES) == await count(dsn, "SELECT count(*) FROM pacewheel.jobs WHERE status = 3")
    assert 0 == await count(dsn, "SELECT count(*) FROM pacewheel.jobs WHERE status < 3")


async def settled_pages(dsn: str) -> set[str]:
    """The URLs of which every request has its final outcome."""
    query = "SELECT target FROM pacewheel.tasks GROUP BY target HAVING min(status) > 2"
    rows = await fetch(dsn, query)
    return {row["target"] for row in rows}


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
async def test_an_interrupted_warm_is_resumed_by_the_same_command(
    warms: Warms, farm: FarmProcess, dsn: str, number: signal.Signals, exit_code: int
) -> None:
    """The same jobs are finished, and no page is fetched again that had its outcome."""
    # The killed one is missed after its lease; nobody else's may run out on a busy machine.
    first = warms.start(**FAST)
    killed = number is signal.SIGKILL

    async def half_is_done() -> bool:
        return len(await settled_pages(dsn)) > 30

    await until(half_is_done)
    first.send_signal(number)
    code, _, err = await warms.end_of(first)
    assert exit_code == code
    assert b"Traceback" not in err
    jobs = await fetch(dsn, "SELECT id FROM pacewheel.jobs ORDER BY id")
    before = await settled_pages(dsn)
    arrivals_before = {site: len(farm.log().arrivals(site)) for site in farm.log().sites()}

    code, _, err = await warms.end_of(warms.start())
    assert 0 == code
    if not killed:
        assert b"resuming job" in err
    log = farm.log()
    assert_complete(log)
    await assert_the_reports_prove_it(dsn, farm, SITE_NAMES, lost_some=killed)
    assert jobs == await fetch(dsn, "SELECT id FROM pacewheel.jobs ORDER BY id")
    sites = dict(zip((spec.name for spec in SITES), farm.urls, strict=True))
    again = {
        f"{urlsplit(sites[site]).scheme}://{urlsplit(sites[site]).netloc}{arrival.path}"
        for site in log.sites()
        for arrival in log.arrivals(site)[arrivals_before.get(site, 0) :]
    }
    assert set() == again & before
    assert 0 == await count(dsn, "SELECT count(*) FROM pacewheel.jobs WHERE status <> 3")
