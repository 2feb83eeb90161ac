"""The vendors' own headers, as their documentation shows them.

Each row names the page that says so (read in 2026); rows under one name belong to it.
"""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from pacewheel.crawl.cache_verdict import VERDICTS, classify

CLOUDFLARE = "developers.cloudflare.com/cache/concepts/cache-responses"
FASTLY = "docs.fastly.com: X-Cache; Checking cache"
CLOUDFRONT = "docs.aws.amazon.com/AmazonCloudFront: standard log fields, x-edge-result-type"
AKAMAI = "techdocs.akamai.com/edge-diagnostics/docs/pragma-headers"
AKAMAI_STATUS = "techdocs.akamai.com/property-mgr/docs/return-cache-status"
AKAMAI_TIMING = "developer.akamai.com: Using CDN Server Timing"
VERCEL = "vercel.com/docs/headers/response-headers"
NETLIFY = "docs.netlify.com: caching overview, Cache-Status"
NGINX = "nginx.org: ngx_http_upstream_module, $upstream_cache_status"
AZURE = "learn.microsoft.com/azure/cdn/cdn-msft-http-debug-headers"
AZURE_EDGIO = "learn.microsoft.com/previous-versions/azure/mt759237"
VARNISH = "varnish-cache.org: Varnish users' guide, X-Varnish"
BUNNY = "docs.bunny.net: response headers, CDN-Cache"
KEYCDN = "keycdn.com/support: X-Cache"
LITESPEED = "docs.litespeedtech.com: verify your site is being cached"

ROWS = [
    (CLOUDFLARE, {"CF-Cache-Status": "HIT"}, "hit"),
    (CLOUDFLARE, {"CF-Cache-Status": "MISS"}, "miss"),
    (CLOUDFLARE, {"CF-Cache-Status": "NONE"}, "unknown"),
    (CLOUDFLARE, {"CF-Cache-Status": "UNKNOWN"}, "unknown"),
    (CLOUDFLARE, {"CF-Cache-Status": "NONE/UNKNOWN"}, "unknown"),
    (CLOUDFLARE, {"CF-Cache-Status": "EXPIRED"}, "expired"),
    (CLOUDFLARE, {"CF-Cache-Status": "STALE"}, "stale"),
    (CLOUDFLARE, {"CF-Cache-Status": "BYPASS"}, "bypass"),
    (CLOUDFLARE, {"CF-Cache-Status": "REVALIDATED"}, "revalidated"),
    (CLOUDFLARE, {"CF-Cache-Status": "UPDATING"}, "stale"),
    (CLOUDFLARE, {"CF-Cache-Status": "DYNAMIC"}, "dynamic"),
    (CLOUDFLARE, {"CF-Cache-Status": "a new word"}, "unknown"),
    (FASTLY, {"X-Cache": "HIT"}, "hit"),
    (FASTLY, {"X-Cache": "HIT, HIT"}, "hit"),
    (FASTLY, {"X-Cache": "MISS, HIT"}, "hit"),
    (FASTLY, {"X-Cache": "HIT, MISS"}, "miss"),
    (FASTLY, {"X-Cache": "MISS, MISS", "X-Cache-Hits": "0, 0", "Age": "0"}, "miss"),
    (CLOUDFRONT, {"X-Cache": "Hit from cloudfront"}, "hit"),
    (CLOUDFRONT, {"X-Cache": "RefreshHit from cloudfront"}, "revalidated"),
    (CLOUDFRONT, {"X-Cache": "OriginShieldHit from cloudfront"}, "hit"),
    (CLOUDFRONT, {"X-Cache": "Miss from cloudfront"}, "miss"),
    (CLOUDFRONT, {"X-Cache": "LimitExceeded from cloudfront"}, "unknown"),
    (CLOUDFRONT, {"X-Cache": "CapacityExceeded from cloudfront"}, "unknown"),
    (CLOUDFRONT, {"X-Cache": "Error from cloudfront"}, "unknown"),
    (CLOUDFRONT, {"X-Cache": "Redirect from cloudfront"}, "dynamic"),
    (CLOUDFRONT, {"X-Cache": "LambdaGeneratedResponse from cloudfront"}, "dynamic"),
    (CLOUDFRONT, {"X-Cache": "FunctionGeneratedResponse from cloudfront"}, "dynamic"),
    (AKAMAI, {"X-Cache": "TCP_HIT from a23-45-67-89 (AkamaiGHost/22.1) (-)"}, "hit"),
    (AKAMAI, {"X-Cache": "TCP_MEM_HIT from a69-174-50-208 (AkamaiGHost/5.7.2) (-)"}, "hit"),
    (AKAMAI, {"X-Cache": "TCP_MISS from a165-254-246-9.deploy.akamaitechnologies.com"}, "miss"),
    (AKAMAI, {"X-Cache": "TCP_REFRESH_HIT from a23-1"}, "revalidated"),
    (AKAMAI, {"X-Cache": "TCP_REFRESH_MISS from a23-1"}, "expired"),
    (AKAMAI, {"X-Cache": "TCP_REFRESH_FAIL_HIT from a23-1"}, "stale"),
    (AKAMAI, {"X-Cache": "TCP_IMS_HIT from a23-1"}, "hit"),
    (AKAMAI, {"X-Cache": "TCP_NEGATIVE_HIT from a23-1"}, "hit"),
    (AKAMAI, {"X-Cache": "TCP_DENIED from a23-1"}, "bypass"),
    (AKAMAI, {"X-Cache": "TCP_COOKIE_DENY from a23-1"}, "bypass"),
    (AKAMAI, {"X-Cache": "TCP_MISS from a23-1", "X-Check-Cacheable": "NO"}, "bypass"),
    (AKAMAI, {"X-Cache": "TCP_MISS from a23-1", "X-Check-Cacheable": "YES"}, "miss"),
    (AKAMAI, {"X-Cache": "TCP_HIT from a23-1", "X-Check-Cacheable": "YES"}, "hit"),
    (AKAMAI, {"X-Cache-Key": "S/L/2649/75069/6h/www.example.com/a.html"}, "unknown"),
    (AKAMAI_STATUS, {"Akamai-Cache-Status": "Hit from child"}, "hit"),
    (AKAMAI_STATUS, {"Akamai-Cache-Status": "Miss from child, Hit from parent"}, "miss"),
    (AKAMAI_STATUS, {"Akamai-Cache-Status": "RefreshHit from child"}, "revalidated"),
    (AKAMAI_STATUS, {"Akamai-Cache-Status": "HitStale from child"}, "stale"),
    (AKAMAI_STATUS, {"Akamai-Cache-Status": "NotCacheable from child"}, "bypass"),
    (AKAMAI_STATUS, {"Akamai-Cache-Status": "Constructed from child"}, "dynamic"),
    (AKAMAI_STATUS, {"Akamai-Cache-Status": "Redirect from child"}, "dynamic"),
    (AKAMAI_STATUS, {"Akamai-Cache-Status": "Error from child"}, "unknown"),
    (AKAMAI_TIMING, {"Server-Timing": "cdn-cache; desc=HIT, edge; dur=1"}, "hit"),
    (AKAMAI_TIMING, {"Server-Timing": "edge; dur=2, origin; dur=120, cdn-cache; desc=MISS"}, "miss"),
    (AKAMAI_TIMING, {"Server-Timing": "cdn-cache; desc=REVALIDATE"}, "revalidated"),
    (AKAMAI_TIMING, {"Server-Timing": 'cdn-cache;dur=0;desc="MISS"'}, "miss"),
    (CLOUDFRONT, {"Server-Timing": 'cdn-cache-hit,cdn-pop;desc="FRA2-C1"'}, "hit"),
    (CLOUDFRONT, {"Server-Timing": "cdn-upstream-layer, cdn-cache-miss"}, "miss"),
    (CLOUDFRONT, {"Server-Timing": "cdn-cache-refresh"}, "revalidated"),
    (VERCEL, {"X-Vercel-Cache": "MISS"}, "miss"),
    (VERCEL, {"X-Vercel-Cache": "HIT"}, "hit"),
    (VERCEL, {"X-Vercel-Cache": "STALE"}, "stale"),
    (VERCEL, {"X-Vercel-Cache": "PRERENDER"}, "hit"),
    (VERCEL, {"X-Vercel-Cache": "REVALIDATED"}, "revalidated"),
    (VERCEL, {"X-Vercel-Cache": "BYPASS"}, "bypass"),
    (NETLIFY, {"Cache-Status": '"Netlify Edge"; hit'}, "hit"),
    (NETLIFY, {"Cache-Status": '"Netlify Edge"; fwd=miss'}, "miss"),
    (NETLIFY, {"Cache-Status": '"Netlify Edge"; hit; fwd=stale'}, "stale"),
    (NETLIFY, {"Cache-Status": '"Netlify Durable"; hit; ttl=60, "Netlify Edge"; fwd=miss'}, "miss"),
    (NGINX, {"X-Cache-Status": "MISS"}, "miss"),
    (NGINX, {"X-Cache-Status": "BYPASS"}, "bypass"),
    (NGINX, {"X-Proxy-Cache": "EXPIRED"}, "expired"),
    (NGINX, {"X-Proxy-Cache": "STALE"}, "stale"),
    (NGINX, {"X-Nginx-Cache": "UPDATING"}, "stale"),
    (NGINX, {"X-FastCGI-Cache": "REVALIDATED"}, "revalidated"),
    (NGINX, {"X-Cache-Status": "HIT"}, "hit"),
    (NGINX, {"X-Cache-Status": "SCARCE"}, "miss"),
    (AZURE, {"X-Cache": "TCP_HIT", "X-Azure-Ref": "0x"}, "hit"),
    (AZURE, {"X-Cache": "TCP_REMOTE_HIT", "X-Azure-Ref": "0x"}, "hit"),
    (AZURE, {"X-Cache": "TCP_MISS", "X-Azure-Ref": "0x"}, "miss"),
    (AZURE, {"X-Cache": "PRIVATE_NOSTORE", "X-Azure-Ref": "0x"}, "bypass"),
    (AZURE, {"X-Cache": "CONFIG_NOCACHE", "X-Azure-Ref": "0x"}, "bypass"),
    (AZURE, {"X-Cache": "N/A", "X-Azure-Ref": "0x"}, "unknown"),
    (AZURE_EDGIO, {"X-Cache": "TCP_EXPIRED_HIT"}, "stale"),
    (AZURE_EDGIO, {"X-Cache": "TCP_EXPIRED_MISS"}, "expired"),
    (AZURE_EDGIO, {"X-Cache": "TCP_CLIENT_REFRESH_MISS"}, "expired"),
    (VARNISH, {"X-Varnish": "1839245 1839240", "Age": "36", "Via": "1.1 varnish (Varnish/7.1)"}, "hit"),
    (VARNISH, {"X-Varnish": "1839245", "Age": "0", "Via": "1.1 varnish (Varnish/7.1)"}, "miss"),
    (VARNISH, {"X-Varnish": "none", "Age": "0"}, "unknown"),
    (BUNNY, {"CDN-Cache": "HIT", "Server": "BunnyCDN-DE1-1046"}, "hit"),
    (BUNNY, {"CDN-Cache": "MISS"}, "miss"),
    (BUNNY, {"CDN-Cache": "BYPASS"}, "bypass"),
    (BUNNY, {"CDN-Cache": "EXPIRED"}, "expired"),
    (KEYCDN, {"X-Cache": "HIT", "Server": "keycdn-engine", "X-Edge-Location": "defr"}, "hit"),
    (KEYCDN, {"X-Cache": "MISS", "Server": "keycdn-engine"}, "miss"),
    (KEYCDN, {"X-Cache": "EXPIRED", "Server": "keycdn-engine"}, "expired"),
    (LITESPEED, {"X-LiteSpeed-Cache": "hit,private"}, "hit"),
    (LITESPEED, {"X-LiteSpeed-Cache": "miss"}, "miss"),
]  # fmt: skip


@pytest.mark.parametrize(("_source", "headers", "verdict"), ROWS)
def test_a_vendors_words_are_understood(
    _source: str, headers: dict[str, str], verdict: str
) -> None:
    """Every value that the vendor documents, as it documents it."""
    assert verdict in VERDICTS
    assert verdict == classify(CIMultiDict(headers)).status


def test_fastlys_nodes_are_layers_from_the_origin_to_us() -> None:
    """A word, a name and a count each, when there are as many of them."""
    headers = CIMultiDict(
        [
            ("X-Served-By", "cache-jfk1041-JFK, cache-ord1720-ORD"),
            ("X-Cache", "HIT, MISS"),
            ("X-Cache-Hits", "1, 0"),
        ]
    )
    shield, edge = classify(headers).layers
    assert ("hit", "cache-jfk1041-JFK", 1) == (shield.status, shield.cache, shield.hits)
    assert ("miss", "cache-ord1720-ORD", 0) == (edge.status, edge.cache, edge.hits)
    headers["X-Cache-Hits"] = "1"
    headers["X-Served-By"] = "cache-jfk1041-JFK"
    assert [(None, None)] * 2 == [(each.hits, each.cache) for each in classify(headers).layers]


def test_akamais_parent_is_the_layer_nearer_to_the_origin() -> None:
    """In a header of its own, or behind the child."""
    edge, parent = "TCP_MISS from a165-254-246-9", "TCP_HIT from a23-67-252-148"
    for headers in (
        {"X-Cache": edge, "X-Cache-Remote": parent},
        {"Akamai-Cache-Status": "Miss from child, Hit from parent"},
    ):
        layers = classify(CIMultiDict(headers)).layers
        assert ["hit", "miss"] == [layer.status for layer in layers]


def test_lines_of_one_field_are_one_list() -> None:
    """Each node may have added a line."""
    for name in ("X-Cache", "X-Cache-Status"):
        headers = CIMultiDict([(name, "HIT"), (name, "MISS")])
        assert ["hit", "miss"] == [layer.status for layer in classify(headers).layers]
    quick = classify(CIMultiDict({"X-LiteSpeed-Cache": "hit,private"}))
    assert ["hit"] == [layer.status for layer in quick.layers]


def test_a_word_that_says_nothing_leaves_the_answer_to_the_next_header() -> None:
    """The nearest telling one counts."""
    headers = CIMultiDict({"X-Cache": "CONFIG", "X-Proxy-Cache": "HIT"})
    assert "hit" == classify(headers).status
    headers = CIMultiDict({"CF-Cache-Status": "new, newer", "X-Proxy-Cache": "odd"})
    assert ["cloudflare"] == [layer.cache for layer in classify(headers).layers]
