"""The cache's answer in one word."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from pacewheel.crawl.cache_verdict import VERDICTS, classify


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, "unknown"),
        ({"cache-status": "ExampleCache; hit; ttl=376"}, "hit"),
        ({"Cache-Status": "ExampleCache; hit; ttl=-412"}, "stale"),
        ({"Cache-Status": "ExampleCache; hit=?0; fwd=miss"}, "miss"),
        ({"Cache-Status": "ExampleCache; fwd=uri-miss; stored"}, "miss"),
        ({"Cache-Status": "ExampleCache; fwd=stale"}, "expired"),
        ({"Cache-Status": "ExampleCache; fwd=stale; fwd-status=304"}, "revalidated"),
        ({"Cache-Status": "ExampleCache; fwd=bypass"}, "bypass"),
        ({"Cache-Status": "Origin; hit, Edge; fwd=miss"}, "miss"),
        ({"Cache-Status": '"a, b; hit"; fwd=miss; detail="x, hit; y"'}, "miss"),
        ({"Cache-Status": "Edge; fwd=miss", "CF-Cache-Status": "HIT"}, "miss"),
        ({"CF-Cache-Status": "HIT"}, "hit"),
        ({"CF-Cache-Status": "DYNAMIC"}, "dynamic"),
        ({"CF-Cache-Status": "UPDATING"}, "stale"),
        ({"CF-Cache-Status": "new word"}, "unknown"),
        ({"X-Cache": "Hit from cloudfront"}, "hit"),
        ({"X-Cache": "RefreshHit from cloudfront"}, "revalidated"),
        ({"X-Cache": "HIT, MISS"}, "miss"),
        ({"X-Cache": "TCP_MISS from a1"}, "miss"),
        ({"Age": "17"}, "hit"),
        ({"Age": "0"}, "unknown"),
        ({"Age": "soon"}, "unknown"),
    ],
)
def test_headers_are_classified(headers: dict[str, str], verdict: str) -> None:
    """RFC 9211 before the vendors' headers before Age; the layer nearest to us counts."""
    assert verdict in VERDICTS
    assert verdict == classify(CIMultiDict(headers))
