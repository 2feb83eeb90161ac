"""Second requests on the farm: for those pages that can become warm, at the site's pace."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_pages import Site
from pacewheel.loadtest.farm_sites import Cdn, SiteSpec
from tests.commands import LOOPBACK, pacewheel
from tests.departures import assert_kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.loadtest.farm_log import ArrivalLog

DELAY_MS = 60
OPTIONS = (*LOOPBACK, "--delay", str(DELAY_MS / 1000), "--json")
CAUSES = ("no-store", "private", "no-cache", "no-freshness", "set-cookie", "vary-star", "bypass")
QUICK = {"pages": 16, "latency_ms": 60, "latency_spread_ms": 0}

SITES = (
    # Three pages of four are kept; the others are not, each for another cause.
    SiteSpec(name="kept", pages=28, seed=1, latency_ms=60, latency_spread_ms=0,
             cdn=Cdn(vendor="nginx", bypass_every=4, causes=CAUSES)),
    # Says MISS for ever.
    SiteSpec(name="never", seed=2, cdn=Cdn(vendor="fastly", hits_from=0), **QUICK),
    # Warm from the start.
    SiteSpec(name="warm", seed=3, cdn=Cdn(vendor="akamai", held_s=60), **QUICK),
    # Stale from the start, replaced behind our back.
    SiteSpec(name="stale", seed=4,
             cdn=Cdn(vendor="cache-status", ttl_s=60, held_s=90, stale_s=600), **QUICK),
    # Expired from the start, replaced at once.
    SiteSpec(name="expired", seed=5, cdn=Cdn(vendor="cloudflare", ttl_s=60, held_s=90), **QUICK),
    # No cache that says anything, and a page that is broken, which is no cause of the cache's.
    SiteSpec(name="silent", seed=6, unavailable=((5, 403),), **QUICK),
)  # fmt: skip


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[FarmProcess]:
    """The sites, in a process of their own."""
    with FarmProcess(SITES, tmp_path / "arrivals.jsonl") as process:
        yield process


def asked(log: ArrivalLog, site: str) -> Counter[str]:
    """How often each page of a site was asked for."""
    paths = (arrival.path for arrival in log.arrivals(site))
    return Counter(path for path in paths if path not in {"/robots.txt", "/sitemap.xml"})


def pages_of(site: SiteSpec, *, kept: bool) -> set[str]:
    """The paths of the pages that its cache keeps, or of the others."""
    every = site.cdn.bypass_every if site.cdn and site.cdn.bypass_every else site.pages + 1
    content = Site(site)
    return {content.path_of(n) for n in range(site.pages) if (n % every < every - 1) == kept}


async def test_pages_that_can_become_warm_are_asked_for_again(dsn: str, farm: FarmProcess) -> None:
    """Those and no others, each once, never closer than the gap; the summary tells what came of it."""
    done = await asyncio.to_thread(pacewheel, "warm", *farm.urls, *OPTIONS, PACEWHEEL_DSN=dsn)
    assert 0 == done.returncode, done.stderr
    log = farm.log()
    for spec, url in zip(SITES, farm.urls, strict=True):
        await assert_kept(dsn, len(log.arrivals(spec.name)), DELAY_MS, urlsplit(url).netloc)
    sites: dict[str, dict[str, Any]] = dict(
        zip((spec.name for spec in SITES), json.loads(done.stdout)["sites"], strict=True)
    )
    for spec in SITES:
        again = {"kept", "never", "stale", "expired"} & {spec.name}
        expected = dict.fromkeys(pages_of(spec, kept=True), 2 if again else 1)
        expected |= dict.fromkeys(pages_of(spec, kept=False), 1)
        assert (spec.name, expected) == (spec.name, dict(asked(log, spec.name)))
        ok = spec.pages - len(spec.unavailable)
        assert (spec.pages, ok) == (sites[spec.name]["pages"], sites[spec.name]["ok"])

    kept = sites["kept"]
    assert (21, {"hit": 21}) == (kept["became_warm"], kept["rechecks"])
    assert dict.fromkeys(CAUSES, 1) == kept["uncacheable"]
    # A copy comes in a quarter of the time.
    assert kept["cold_ms"] >= 60 > kept["warm_ms"] >= 15
    assert (0, {"miss": 16}, None) == (
        *(sites["never"]["became_warm"], sites["never"]["rechecks"], sites["never"]["warm_ms"]),
    )
    assert ({"hit": 16}, {}) == (sites["warm"]["cache"], sites["warm"]["rechecks"])
    assert ({"stale": 16}, 16) == (sites["stale"]["cache"], sites["stale"]["became_warm"])
    assert ({"expired": 16}, 16) == (sites["expired"]["cache"], sites["expired"]["became_warm"])
    silent = sites["silent"]
    assert ({"unknown": 16}, {}, {}) == (
        *(silent["cache"], silent["rechecks"], silent["uncacheable"]),
    )


async def test_second_requests_take_no_page_of_the_limit(dsn: str, farm: FarmProcess) -> None:
    """With a limit of pages all of them are fetched, and asked for again; zero asks for none."""
    limited, once = await asyncio.gather(
        *(
            asyncio.to_thread(pacewheel, "warm", url, *OPTIONS, *words, PACEWHEEL_DSN=dsn)
            for url, *words in (
                (farm.urls[4], "--max-pages", "9"),
                (farm.urls[0], "--rechecks", "0"),
            )
        )
    )
    (site,) = json.loads(limited.stdout)["sites"]
    # The sitemap is one of the nine.
    assert (8, 8) == (site["pages"], site["became_warm"])
    (site,) = json.loads(once.stdout)["sites"]
    assert ({}, 28) == (site["rechecks"], sum(asked(farm.log(), "kept").values()))


def test_a_job_stops_at_its_limit_of_second_requests(dsn: str, farm: FarmProcess) -> None:
    """So many for all pages together, and for a page as many as are wished for."""
    options = ("--rechecks", "3", "--rechecks-max", "7")
    done = pacewheel("warm", farm.urls[1], *OPTIONS, *options, PACEWHEEL_DSN=dsn)
    assert 0 == done.returncode, done.stderr
    assert 16 + 7 == sum(asked(farm.log(), "never").values())
    other = pacewheel("warm", farm.urls[1], *OPTIONS, "--rechecks", "4", PACEWHEEL_DSN=dsn)
    assert 2 == other.returncode
    assert "0 to 3" in other.stderr
