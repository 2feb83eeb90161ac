"""What caches say of themselves in headers of their own, where RFC 9211 is not spoken.

Owns the vendors' words and where they stand. Each reader returns the layers it finds, origin first,
or none; their order is from the nearest kind of cache to the farthest, and from the surest sign to
the weakest. The table of the vendors' own examples is `tests/unit/crawl/test_cache_vendors.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacewheel.crawl.fields import joined, members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.crawl.fields import Fields


@dataclass(frozen=True, slots=True)
class Layer:
    """One cache on the way; `status` is one of `cache_verdict.VERDICTS`, the rest None if unsaid.

    `cache` is its name, `ttl_s` what it says of the remaining freshness, `stored` whether it kept
    this response, `hits` how often it has answered from its copy.
    """

    status: str
    cache: str | None = None
    ttl_s: int | None = None
    stored: bool | None = None
    hits: int | None = None


# In the words' own writing they may be upper case, and be followed by a server's name or a number.
_WORDS = {
    "hit": "hit",
    "prerender": "hit",
    "originshieldhit": "hit",
    "tcp_ims_hit": "hit",
    "tcp_negative_hit": "hit",
    "partial_hit": "hit",
    "stale": "stale",
    "updating": "stale",
    "hitstale": "stale",
    "tcp_refresh_fail_hit": "stale",
    "tcp_expired_hit": "stale",
    "miss": "miss",
    "scarce": "miss",
    "expired": "expired",
    "tcp_refresh_miss": "expired",
    "tcp_expired_miss": "expired",
    "tcp_client_refresh_miss": "expired",
    "revalidated": "revalidated",
    "refreshhit": "revalidated",
    "tcp_refresh_hit": "revalidated",
    "bypass": "bypass",
    "pass": "bypass",
    "notcacheable": "bypass",
    "uncacheable": "bypass",
    "private_nostore": "bypass",
    "config_nocache": "bypass",
    "tcp_denied": "bypass",
    "tcp_cookie_deny": "bypass",
    "dynamic": "dynamic",
    "constructed": "dynamic",
    "redirect": "dynamic",
    "lambdageneratedresponse": "dynamic",
    "functiongeneratedresponse": "dynamic",
}
_NAME_MAX_CHARS = 200
_WORD = re.compile(r"[A-Za-z_/]+")
_SERVER_TIMING = re.compile(r'cdn-cache(?:-(\w+)|[^"]*?;\s*desc\s*=\s*"?(\w+))')
_SERVER_TIMING_WORDS = {"refresh": "revalidated", "revalidate": "revalidated"}

# A word from each cache of a kind. Nearest first: content delivery networks, hosts' proxies, applications.
_ONE_WORD = {
    "CF-Cache-Status": "cloudflare",
    "X-Vercel-Cache": "vercel",
    "CDN-Cache": "bunny",
    "X-Cache-Status": None,
    "X-Proxy-Cache": None,
    "X-Nginx-Cache-Status": "nginx",
    "X-Nginx-Cache": "nginx",
    "X-FastCGI-Cache": "nginx",
    "X-Kinsta-Cache": "kinsta",
    "X-QC-Cache": "quic.cloud",
    "X-LiteSpeed-Cache": "litespeed",
    "X-Varnish-Cache": "varnish",
    "X-Drupal-Cache": "drupal",
}

KEEPS_COOKIES = frozenset({"akamai", "bunny", "cloudflare", "cloudfront"})
"""Those who may keep a response with Set-Cookie, with or without its cookies; the others never do."""


def status_of(text: str) -> str:
    """Return the verdict that a vendor's word stands for."""
    found = _WORD.match(text)
    word = found[0].lower() if found else ""
    if word in _WORDS:
        return _WORDS[word]
    if word.startswith("tcp_"):
        # TCP_MEM_HIT, TCP_REMOTE_HIT and whatever other place a hit may come from.
        return _WORDS.get(word.rpartition("_")[2], "unknown")
    return "unknown"


def vendor_layers(headers: Fields) -> list[Layer]:
    """Return the layers that the nearest telling header names, origin first; `[]` without any."""
    unclear: list[Layer] = []
    for layers in _readings(headers):
        if any(layer.status != "unknown" for layer in layers):
            return layers
        unclear = unclear or layers
    return unclear


def _readings(headers: Fields) -> Iterator[list[Layer]]:
    for name in ("CF-Cache-Status", "X-Vercel-Cache"):
        yield _one_word(headers, name)
    yield _akamai(headers)
    yield _x_cache(headers)
    for name in _ONE_WORD:
        yield _one_word(headers, name)
    yield _server_timing(headers)
    yield _varnish(headers)


def _one_word(headers: Fields, name: str) -> list[Layer]:
    texts = members(joined(headers, name))
    layers = [Layer(status_of(text), _ONE_WORD[name]) for text in texts]
    # Several are caches of one kind in a row; LiteSpeed's `hit,private` is only one.
    return [layer for layer in layers if layer.status != "unknown"] or layers[:1]


def _akamai(headers: Fields) -> list[Layer]:
    # "Hit from child, Miss from parent": the child is the nearer one, and comes first.
    said = [(status_of(text), text) for text in members(joined(headers, "Akamai-Cache-Status"))]
    return [Layer(status, "akamai") for status, _ in reversed(said)]


def _x_cache(headers: Fields) -> list[Layer]:
    texts = members(joined(headers, "X-Cache"))
    if not texts:
        return []
    nearest = texts[-1].lower()
    if nearest.endswith("from cloudfront"):
        return [Layer(status_of(text), _cloudfront_name(text)) for text in texts]
    if "X-Azure-Ref" in headers:
        return [Layer(status_of(text), "azure") for text in texts]
    if nearest.startswith("tcp_"):
        return _ghost(headers, texts)
    return _nodes(headers, texts)


def _cloudfront_name(text: str) -> str | None:
    return "cloudfront" if text.lower().endswith("from cloudfront") else None


def _ghost(headers: Fields, texts: list[str]) -> list[Layer]:
    """Akamai's debug headers: the parent's word stands in a header of its own."""
    texts = members(joined(headers, "X-Cache-Remote")) + texts
    layers = [Layer(status_of(text), "akamai") for text in texts]
    if layers[-1].status == "miss" and joined(headers, "X-Check-Cacheable").upper() == "NO":
        layers[-1] = Layer("bypass", "akamai")
    return layers


def _nodes(headers: Fields, texts: list[str]) -> list[Layer]:
    """Fastly's list, a word for each node from the origin to us; others send a single word."""
    names: list[str] = members(joined(headers, "X-Served-By"))
    counts = members(joined(headers, "X-Cache-Hits"))
    hits = [int(text[:12]) if text.isascii() and text.isdecimal() else None for text in counts]
    return [
        Layer(
            status_of(text),
            cache=names[number][:_NAME_MAX_CHARS] if len(names) == len(texts) else None,
            hits=hits[number] if len(hits) == len(texts) else None,
        )
        for number, text in enumerate(texts)
    ]


def _server_timing(headers: Fields) -> list[Layer]:
    for member in members(joined(headers, "Server-Timing")):
        found = _SERVER_TIMING.match(member)
        if found:
            word = (found[1] or found[2]).lower()
            return [Layer(_SERVER_TIMING_WORDS.get(word) or status_of(word))]
    return []


def _varnish(headers: Fields) -> list[Layer]:
    """The transaction's id, and with it the id of the transaction that fetched the copy."""
    layers = []
    for text in members(joined(headers, "X-Varnish")):
        ids = text.split(maxsplit=2)
        if not all(each.isascii() and each.isdecimal() for each in ids):
            return []
        layers.append(Layer("hit" if len(ids) > 1 else "miss", "varnish"))
    return layers
