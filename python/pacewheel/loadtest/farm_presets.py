"""The sites that ship with the farm: the demo's eight, and any number for load tests.

Each demo site notes how long a polite warm of it takes: requests (pages, robots.txt, sitemaps)
times the gap it permits, which is its Crawl-delay or, without one, the demo's 100 ms.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

from pacewheel.errors import ConfigInvalid
from pacewheel.loadtest.farm_pages import mix
from pacewheel.loadtest.farm_sites import (
    SITES_MAX,
    Cdn,
    RateLimit,
    Redirect,
    Robots,
    SiteSpec,
)

DEMO_DELAY_MS = 100


def demo_sites() -> tuple[SiteSpec, ...]:
    """Eight sites that a polite warm finishes in about half a minute, all in parallel."""
    return (
        # 300 pages + robots + 4 sitemaps, 100 ms apart: 31 s. The large one; index of sitemaps.
        SiteSpec(name="bookshop", pages=300, seed=1, sitemap="index", latency_ms=15,
                 latency_spread_ms=40, page_bytes=12_000, page_bytes_spread=12_000),
        # 130 + 2, and 116 second requests of what was a MISS, 100 ms: 25 s.
        SiteSpec(name="gazette", pages=130, seed=2, latency_ms=60, latency_spread_ms=90,
                 cdn=Cdn(vendor="cloudflare", bypass_every=9), page_bytes=20_000),
        # 100 - 21 disallowed + 2, Crawl-delay 250 ms: 20 s. Answers 429 to anything faster.
        SiteSpec(name="museum", pages=100, seed=3, strict_gap_ms=225,
                 robots=Robots(disallow=("/archive/",), crawl_delay_s=0.25)),
        # 45 + 2, Crawl-delay 500 ms: 24 s. The small and strict one; a third of it unlinked.
        SiteSpec(name="townhall", pages=45, seed=4, sitemap_only=15,
                 robots=Robots(crawl_delay_s=0.5)),
        # 90 + 2, 100 ms: 9 s of pace, but 0.4 to 1.2 s an answer: 9 s needs 8 at a time.
        SiteSpec(name="observatory", pages=90, seed=5, latency_ms=400, latency_spread_ms=800,
                 sitemap_skips=4),
        # 110 + 2, 100 ms, 4 s of 429: 15 s; 27 s if the gap doubles after the 429.
        SiteSpec(name="boxoffice", pages=110, seed=6, latency_ms=25,
                 rate_limit=RateLimit(after_requests=40, retry_after_s=4)),
        # 160 + 6 redirects + 3 errors + robots, 100 ms: 17 s and the retries of two 500s.
        # No robots.txt, no sitemap: discovered by links alone.
        SiteSpec(name="travelblog", pages=160, seed=7, sitemap="none", latency_ms=30,
                 latency_spread_ms=60, robots=Robots(missing=True), neighbour_link=True,
                 unavailable=((97, 404), (111, 500), (140, 500)),
                 redirects=(
                     Redirect(source="/moved/first", target="/moved/second"),
                     Redirect(source="/moved/second", target="/moved/third"),
                     Redirect(source="/moved/third", target="/"),
                     Redirect(source="/loop/left", target="/loop/right"),
                     Redirect(source="/loop/right", target="/loop/left"),
                     Redirect(source="/partner", target="{neighbour}/"),
                 )),
        # 60 + 2, and 48 second requests, 100 ms: 11 s. A sitemap that robots.txt hides.
        SiteSpec(name="recipes", pages=60, seed=8, latency_ms=80, latency_spread_ms=40,
                 robots=Robots(lists_sitemap=False), cdn=Cdn(vendor="x-cache", bypass_every=5)),
    )  # fmt: skip


def farm_sites(count: int, pages_total: int, seed: int = 0) -> tuple[SiteSpec, ...]:
    """``count`` quick sites of uneven size with ``pages_total`` pages in all; no Crawl-delay.

    Sizes are seeded and lie between half and one and a half of the average. Raises ConfigInvalid
    unless every site can have a page.
    """
    if not 1 <= count <= min(SITES_MAX, pages_total):
        message = f"{count} sites with {pages_total} pages: give 1 to {SITES_MAX} sites a page each"
        raise ConfigInvalid(message)
    weights = [500 + mix(seed, "weight", number) % 1_001 for number in range(count)]
    spare = pages_total - count
    bounds = [spare * part // sum(weights) for part in accumulate(weights, initial=0)]
    return tuple(
        SiteSpec(
            name=f"site-{number:03d}",
            pages=1 + end - start,
            seed=seed * SITES_MAX + number,
            latency_ms=2,
            latency_spread_ms=8,
            sitemap="index" if number % 3 == 0 else "flat",
        )
        for number, (start, end) in enumerate(pairwise(bounds))
    )
