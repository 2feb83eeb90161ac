"""The farm's caches: each vendor's words mean what they mean to the crawler, and copies age."""

from __future__ import annotations

from typing import get_args

import pytest
from multidict import CIMultiDict

from pacewheel.crawl.cache_verdict import classify
from pacewheel.crawl.uncacheable import uncacheable
from pacewheel.loadtest.farm_cdn import NS_PER_S, CdnCache
from pacewheel.loadtest.farm_sites import Cdn, CdnVendor

VENDORS = get_args(CdnVendor)
CAUSES = ("no-store", "private", "no-cache", "no-freshness", "set-cookie", "vary-star", "bypass")
# These have no words of their own for what is stale or expired.
PLAIN = {"fastly", "cloudfront", "varnish"}


def asked(cache: CdnCache, at_s: float, page: int = 0) -> CIMultiDict[str]:
    """The headers of one page at so many seconds."""
    return CIMultiDict(cache.look_up(f"/{page}", page, round(at_s * NS_PER_S))[0])


def verdicts(cache: CdnCache, *instants_s: float) -> list[str]:
    """What the crawler makes of one page asked for at these moments."""
    return [classify(asked(cache, at_s)).status for at_s in instants_s]


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_copy_is_made_served_and_replaced(vendor: CdnVendor) -> None:
    """Miss, hit, stale for a while, hit again; long after that it has expired."""
    found = verdicts(CdnCache(Cdn(vendor=vendor, ttl_s=10, stale_s=20)), 0, 9, 15, 16, 100, 101)
    stale, expired = ("hit", "miss") if vendor in PLAIN else ("stale", "expired")
    if vendor in {"vercel", "x-cache"}:
        expired = "miss"
    assert ["miss", "hit", stale, "hit", expired, "hit"] == found


def test_a_copy_may_be_there_from_the_start_or_come_late_or_never() -> None:
    """Its age is that of the page's first request."""
    held = CdnCache(Cdn(vendor="cache-status", ttl_s=60, held_s=50))
    headers = asked(held, 1000)
    assert ("50", "FarmCache; hit; ttl=10") == (headers["Age"], headers["Cache-Status"])
    assert ["expired", "hit"] == verdicts(held, 1011, 1012)
    late, never = (CdnCache(Cdn(vendor="nginx", hits_from=number)) for number in (4, 0))
    assert ["miss", "miss", "miss", "hit"] == verdicts(late, 0, 1, 2, 3)
    assert ["miss"] * 4 == verdicts(never, 0, 1, 2, 3)


@pytest.mark.parametrize("vendor", ["nginx", "cache-status"])
def test_pages_are_refused_for_each_cause_in_turn(vendor: CdnVendor) -> None:
    """The crawler reads the very cause, at every request."""
    cache = CdnCache(Cdn(vendor=vendor, bypass_every=2, causes=CAUSES))
    for _ in range(2):
        found = []
        for number in range(len(CAUSES)):
            headers = asked(cache, 0, page=2 * number + 1)
            found.append(uncacheable(headers, 200, classify(headers)))
        assert list(CAUSES) == found
