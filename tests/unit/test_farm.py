"""The site farm: equal specifications give equal sites, the log tells the truth, faults are real."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest

from pacewheel.errors import ConfigInvalid
from pacewheel.loadtest.farm import Farm, FarmProcess
from pacewheel.loadtest.farm_log import Arrival, ArrivalLog
from pacewheel.loadtest.farm_pages import Site, truth
from pacewheel.loadtest.farm_presets import DEMO_DELAY_MS, demo_sites, farm_sites
from pacewheel.loadtest.farm_sites import (
    Cdn,
    RateLimit,
    Redirect,
    Robots,
    SiteSpec,
    specs_from_json,
    specs_to_json,
)
from tests.waiting import wait_until

FAST = {"latency_ms": 0, "latency_spread_ms": 0}


def arrival_at(ms: float, *, site: str = "s", **fields: object) -> Arrival:
    """An arrival at so many milliseconds, everything else optional."""
    usual = {
        "method": "GET", "path": "/", "status": 200, "in_flight": 1, "connection": 1,
        "user_agent": "", "latency_ms": 0, "retry_after_s": 0, "early": False,
    }  # fmt: skip
    return Arrival(ns=int(ms * 1e6), site=site, **{**usual, **fields})  # type: ignore[arg-type]  # a factory


def log_of(*arrivals: Arrival) -> ArrivalLog:
    """A log with these arrivals."""
    log = ArrivalLog()
    for arrival in arrivals:
        log.record(arrival)
    return log


async def fetch(url: str, **options: object) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one GET without following redirects."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, allow_redirects=False, **options) as response,
    ):
        return response.status, dict(response.headers), await response.read()


async def crawl(url: str) -> set[str]:
    """The paths a naive crawler without robots rules or sitemap fetches with 200 from ``url``."""
    origin, todo, seen, served = url.rstrip("/"), [url], {url}, set()
    async with aiohttp.ClientSession() as session:
        while todo:
            here = todo.pop()
            async with session.get(here, allow_redirects=False) as response:
                text = await response.text()
            found = re.findall(r'href="([^"#]*)', text) if response.status == 200 else []
            if response.status == 200:
                served.add(urlsplit(here).path)
            found += [response.headers["Location"]] if response.status == 301 else []
            fresh = {urljoin(here, href) for href in found if "mailto" not in href} - seen
            fresh = {there for there in fresh if there.startswith(origin + "/")}
            seen |= fresh
            todo += fresh
    return served


def test_pages_and_their_paths_are_each_others_inverse() -> None:
    """Every page is found by its path and by no other path of the same number."""
    site = Site(SiteSpec(name="s", pages=500, seed=9))
    assert list(range(500)) == [site.page_of(site.path_of(page)) for page in range(500)]
    assert site.page_of("/guides/nothing-3x") is None
    assert site.page_of(site.path_of(7).replace("-7", "-8")) is None


def test_equal_specifications_give_equal_sites_and_other_seeds_other_ones() -> None:
    """Content is a function of the specification, in any process."""
    spec, other = SiteSpec(name="s", pages=50, seed=1), SiteSpec(name="s", pages=50, seed=2)
    command = (
        "from pacewheel.loadtest.farm_pages import *; from pacewheel.loadtest.farm_sites import *;"
        "s = Site(SiteSpec(name='s', pages=50, seed=1)); import sys;"
        "sys.stdout.buffer.write(b''.join(s.html(p) for p in range(50)) + s.sitemap('/sitemap.xml'))"
    )
    elsewhere = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    here = [b"".join(Site(s).html(p) for p in range(50)) for s in (spec, other)]
    assert here[0] + (Site(spec).sitemap("/sitemap.xml") or b"") == elsewhere.stdout
    assert here[0] != here[1]


def test_specifications_survive_the_way_through_json() -> None:
    """What a farm in another process is given equals what was meant."""
    assert demo_sites() == specs_from_json(specs_to_json(demo_sites()))
    with pytest.raises(ConfigInvalid):
        specs_from_json(b'[{"name": 1}]')


def test_a_page_has_its_links_in_semantic_places() -> None:
    """Header, nav, main and footer are there, in three forms of href, at the size asked for."""
    site = Site(SiteSpec(name="s", pages=80, page_bytes=9_000, page_bytes_spread=0), "http://h:1")
    text = site.html(0).decode()
    for place in ("header", "nav", "main", "footer"):
        assert 'href="' in re.search(f"<{place}>(.*)</{place}>", text).group(1)
    assert 'href="http://h:1/' in text
    assert 'href="../' in text
    assert abs(len(text) - 9_000) < 1_500


async def test_a_naive_crawl_by_links_serves_exactly_the_truth() -> None:
    """The truth is computed from the specification alone and agrees with what the site serves."""
    spec = SiteSpec(
        name="s", pages=120, seed=5, sitemap_only=10, unavailable=((3, 404), (50, 500)),
        redirects=(
            Redirect(source="/a", target="/b"), Redirect(source="/b", target="/"),
            Redirect(source="/out", target="{neighbour}/"),
        ),
        neighbour_link=True, **FAST,
    )  # fmt: skip
    async with Farm([spec, SiteSpec(name="other", pages=3, **FAST)]) as farm:
        served = await crawl(farm.urls[0])
    assert truth(spec, sitemap=False) == served
    assert served == farm.log.pages_served("s")
    assert farm.log.arrivals("other") == []
    by_sitemap = truth(spec, links=False) - truth(spec, sitemap=False)
    assert len(by_sitemap) >= 10
    assert truth(spec) == truth(spec, sitemap=False) | truth(spec, links=False)


def test_the_truth_obeys_robots_rules() -> None:
    """A forbidden branch is no part of the truth although the sitemap lists it."""
    open_site = SiteSpec(name="s", pages=200)
    closed = SiteSpec(name="s", pages=200, robots=Robots(disallow=("/archive/",)))
    forbidden = truth(open_site) - truth(closed)
    assert len(forbidden) > 10
    assert all(path.startswith("/archive/") for path in forbidden)


async def test_a_sitemap_index_lists_every_page_once() -> None:
    """The children of the index hold all pages, with priority and date."""
    spec = SiteSpec(name="s", pages=25, sitemap="index", sitemap_child_pages=10, **FAST)
    async with Farm([spec]) as farm:
        status, _, robots = await fetch(farm.urls[0] + "robots.txt")
        assert status == 200
        location = re.search(rb"Sitemap: (\S+)", robots).group(1).decode()
        children = re.findall(rb"<loc>(.*?)</loc>", (await fetch(location))[2])
        bodies = [(await fetch(child.decode()))[2] for child in children]
        missing = await fetch(farm.urls[0] + "sitemap-3.xml")
    pages = re.findall(rb"<loc>(.*?)</loc>", b"".join(bodies))
    assert len(children) == 3
    assert truth(spec) == {urlsplit(page.decode()).path for page in pages}
    assert len(pages) == 25 == len(re.findall(rb"<priority>[01]\.\d</priority>", b"".join(bodies)))
    assert missing[0] == 404


async def test_a_missing_robots_txt_answers_404() -> None:
    """Missing means missing, and then nothing is forbidden or announced."""
    async with Farm([SiteSpec(name="s", pages=2, robots=Robots(missing=True), **FAST)]) as farm:
        assert (await fetch(farm.urls[0] + "robots.txt"))[0] == 404


async def test_the_rate_limit_opens_one_window_and_recovers() -> None:
    """After k requests comes 429 with Retry-After; who waits is served, who doesn't is noted."""
    limit = RateLimit(after_requests=3, retry_after_s=4)
    async with Farm([SiteSpec(name="s", pages=9, rate_limit=limit, **FAST)]) as farm:
        first = [(await fetch(farm.urls[0]))[0] for _ in range(3)]
        refused = await fetch(farm.urls[0])
        await asyncio.sleep(0.1)  # past the grace: the answer is known by now
        impatient = await fetch(farm.urls[0])
        await asyncio.sleep(4.01)  # the time it was told to wait
        later = [(await fetch(farm.urls[0]))[0] for _ in range(5)]
    assert [200] * 3 == first
    assert (429, "4") == (refused[0], refused[1]["Retry-After"])
    assert impatient[0] == 429
    assert [200] * 5 == later
    assert farm.log.retry_after_violations("s") == [farm.log.arrivals("s")[4]]


async def test_a_strict_site_refuses_and_notes_a_too_early_request() -> None:
    """The site itself counts what comes below its gap."""
    async with Farm([SiteSpec(name="s", pages=2, strict_gap_ms=5_000, **FAST)]) as farm:
        statuses = [(await fetch(farm.urls[0]))[0] for _ in range(2)]
    assert [200, 429] == statuses
    assert farm.log.early_arrivals("s") == farm.log.arrivals("s")[1:]


@pytest.mark.parametrize(
    ("vendor", "header"), [("cloudflare", "CF-Cache-Status"), ("x-cache", "X-Cache")]
)
async def test_the_cdn_turns_from_miss_to_hit(vendor: str, header: str) -> None:
    """The second answer for a path is a HIT with an Age and quicker; some pages are never cached."""
    cdn = Cdn(vendor=vendor, bypass_every=4, ttl_s=2.5)  # type: ignore[arg-type]  # parametrized
    spec = SiteSpec(name="s", pages=9, latency_ms=40, latency_spread_ms=0, cdn=cdn)
    site = Site(spec)
    async with Farm([spec]) as farm:
        verdicts = [(await fetch(farm.urls[0]))[1] for _ in range(2)]
        bypassed = [(await fetch(farm.urls[0] + site.path_of(3)[1:]))[1] for _ in range(2)]
        deadline = time.monotonic() + 60
        while (again := (await fetch(farm.urls[0]))[1])[header] == "HIT":
            assert time.monotonic() < deadline
    assert ["MISS", "HIT"] == [headers[header] for headers in verdicts]
    assert verdicts[1]["Age"] == "0"
    assert ["BYPASS", "BYPASS"] == [headers[header] for headers in bypassed]
    assert again[header] == ("EXPIRED" if vendor == "cloudflare" else "MISS")
    assert [40, 10] == [arrival.latency_ms for arrival in farm.log.arrivals("s")][:2]


async def test_redirects_chain_loop_and_leave_the_site() -> None:
    """301 with a Location, relative to the site or to its neighbour."""
    redirects = (Redirect(source="/a", target="/b"), Redirect(source="/x", target="{neighbour}/"))
    specs = [SiteSpec(name="s", pages=2, redirects=redirects, **FAST), SiteSpec(name="t", pages=1)]
    async with Farm(specs) as farm:
        inside, outside = await fetch(farm.urls[0] + "a"), await fetch(farm.urls[0] + "x")
    assert (301, "/b") == (inside[0], inside[1]["Location"])
    assert (301, farm.urls[1]) == (outside[0], outside[1]["Location"])


async def test_hostile_paths_misbehave_only_where_asked_for() -> None:
    """The connection closes, the answer never comes or drips, the body explodes; or plain 404."""
    spec = SiteSpec(
        name="s", pages=1, page_bytes=100, page_bytes_spread=0,
        hostile=("drip", "close", "never", "gzip-bomb"), **FAST,
    )  # fmt: skip
    async with Farm([spec, SiteSpec(name="mild", pages=1, **FAST)]) as farm:
        hostile = farm.urls[0] + "hostile/"
        with pytest.raises(aiohttp.ClientError):
            await fetch(hostile + "close")
        with pytest.raises(TimeoutError):
            await fetch(hostile + "never", timeout=aiohttp.ClientTimeout(total=0.2))
        started = time.monotonic()
        assert (await fetch(hostile + "drip"))[0] == 200
        assert time.monotonic() - started > 0.5
        bomb = await fetch(hostile + "gzip-bomb")
        assert (20_000_000, True) == (len(bomb[2]), int(bomb[1]["Content-Length"]) < 50_000)
        assert (await fetch(farm.urls[1] + "hostile/close"))[0] == 404
        in_flight = [server.in_flight for server in farm._servers]
    assert [0, 0] == in_flight
    assert {"/"} == truth(spec)


async def test_an_arrival_is_logged_with_all_it_carried(tmp_path: Path) -> None:
    """Time, path, status, in-flight count, user agent and connection; the file says the same."""
    spec = SiteSpec(name="s", pages=9, latency_ms=100, latency_spread_ms=0)
    before_ns = time.monotonic_ns()
    async with (
        Farm([spec], log_file=tmp_path / "log") as farm,
        aiohttp.ClientSession(headers={"User-Agent": "tester/1"}) as session,
    ):
        await asyncio.gather(*[session.get(farm.urls[0]) for _ in range(4)])
        async with session.head(farm.urls[0] + "nothing") as response:
            assert response.status == 404
        arrivals = farm.log.arrivals("s")
    assert before_ns < arrivals[0].ns <= arrivals[-1].ns < time.monotonic_ns()
    assert [1, 2, 3, 4, 1] == [arrival.in_flight for arrival in arrivals]
    assert farm.log.max_in_flight("s") == 4
    assert ("HEAD", "/nothing", 404, "tester/1") == (
        arrivals[4].method, arrivals[4].path, arrivals[4].status, arrivals[4].user_agent,
    )  # fmt: skip
    assert len({arrival.connection for arrival in arrivals[:4]}) == 4
    assert arrivals[4].connection in {arrival.connection for arrival in arrivals[:4]}
    assert arrivals == ArrivalLog.load(tmp_path / "log").arrivals("s")


def test_gaps_and_violations_are_measured_between_neighbours() -> None:
    """The smallest gap is found, and only gaps beyond the tolerance are violations."""
    log = log_of(arrival_at(0), arrival_at(500), arrival_at(800, site="t"), arrival_at(998))
    assert log.smallest_gap_ms("s") == 498
    assert log.smallest_gap_ms("t") is None
    assert [498] == [violation.gap_ms for violation in log.violations("s", 500)]
    assert log.violations("s", 500, tolerance_ms=5) == []


def test_retry_after_counts_from_the_answer_and_forgives_what_was_under_way() -> None:
    """Inside the window is a violation, right after the answer or past its end is not."""
    log = log_of(
        arrival_at(0, status=429, retry_after_s=2, latency_ms=10),
        arrival_at(30, status=429, retry_after_s=2),
        arrival_at(1_900),
        arrival_at(2_031),
    )
    assert [1_900] == [arrival.ns / 1e6 for arrival in log.retry_after_violations("s")]


def test_a_full_log_refuses_to_judge_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    """Half a log proves nothing; a line cut by a kill is not half a log."""
    small = ArrivalLog(arrivals_max=1)
    small.record(arrival_at(0))
    small.record(arrival_at(1))
    with pytest.raises(ConfigInvalid):
        small.smallest_gap_ms("s")
    log = ArrivalLog(tmp_path / "log")
    log.record(arrival_at(0))
    log.close()
    with (tmp_path / "log").open("ab") as file:
        file.write(b'{"ns": 12')
    assert len(ArrivalLog.load(tmp_path / "log").arrivals("s")) == 1


async def test_a_farm_process_serves_and_its_log_survives_kill_9(tmp_path: Path) -> None:
    """The URLs come over, arrivals are in the file at once, a killed farm leaves them there."""
    with FarmProcess(demo_sites(), tmp_path / "log") as farm:
        assert len(farm.urls) == len(demo_sites())
        assert (await fetch(farm.urls[0]))[0] == 200
        assert farm.log().pages_served("bookshop") == {"/"}
        os.kill(farm._process.pid, signal.SIGKILL)
        farm._process.wait(60)
        assert farm.log().pages_served("bookshop") == {"/"}


def test_a_farm_process_ends_with_the_process_it_serves(tmp_path: Path) -> None:
    """When its starter is killed outright, the farm leaves too."""
    code = (
        "import sys, time; from pathlib import Path; from pacewheel.loadtest.farm import *;"
        f"f = FarmProcess(demo_sites(), Path({str(tmp_path / 'log')!r})); f.start();"
        "print(f._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as starter:
        farm_pid = int(starter.stdout.readline())
        os.kill(starter.pid, signal.SIGKILL)
    wait_until(lambda: b"farm" not in _cmdline(farm_pid), "the farm ends with its starter")


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_the_program_prints_its_urls_and_ends_on_sigterm() -> None:
    """One line of JSON, exit code 0; a bad option and a taken port get one line and 2."""
    command = [sys.executable, "-m", "pacewheel.loadtest.farm"]
    with subprocess.Popen([*command, "--sites", "3x30"], stdout=subprocess.PIPE) as farm:
        urls = json.loads(farm.stdout.readline())
        port = urlsplit(urls[2]).port
        taken = subprocess.run(
            [*command, "--base-port", str(port)], capture_output=True, check=False
        )
        farm.terminate()
        assert farm.wait(60) == 0
    assert len(urls) == 3
    unknown = subprocess.run([*command, "--sites", "many"], capture_output=True, check=False)
    for refused in (taken, unknown):
        assert (refused.returncode, refused.stderr.count(b"\n"), refused.stdout) == (2, 1, b"")


def test_farm_sites_have_the_pages_asked_for() -> None:
    """Fifty sites share 20,000 pages unevenly and all pages are reachable."""
    specs = farm_sites(50, 20_000, seed=3)
    assert (50, 20_000) == (len(specs), sum(spec.pages for spec in specs))
    assert max(spec.pages for spec in specs) > 1.5 * min(spec.pages for spec in specs)
    assert all(len(truth(spec)) == spec.pages for spec in specs[:5])
    assert specs == farm_sites(50, 20_000, seed=3) != farm_sites(50, 20_000, seed=4)
    with pytest.raises(ConfigInvalid):
        farm_sites(5, 4)


def test_every_demo_site_can_be_warmed_politely_in_forty_seconds() -> None:
    """Requests times the permitted gap, or the latency at eight at a time, is below 40 s."""
    for spec in demo_sites():
        requests = len(truth(spec)) + 2 + len(spec.unavailable) + len(spec.redirects)
        pace_s = requests * max(DEMO_DELAY_MS / 1_000, spec.robots.crawl_delay_s)
        latency_s = requests * (spec.latency_ms + spec.latency_spread_ms / 2) / 1_000 / 8
        assert 4 < max(pace_s, latency_s) < 40, spec.name


def test_a_specification_that_no_farm_can_serve_is_refused() -> None:
    """Each bad value gets a line that names the site."""
    for fields in ({"pages": 0}, {"pages": 3, "sitemap_only": 3}, {"pages": 3, "branching": 9}):
        with pytest.raises(ConfigInvalid, match="'bad'"):
            SiteSpec(name="bad", **fields)
    with pytest.raises(ConfigInvalid):
        Farm([SiteSpec(name="twin", pages=1), SiteSpec(name="twin", pages=1)])
