"""What one site of the farm is: its size, links, pace, rules and faults, as plain data.

Owns the specification types and their JSON form (how they reach a farm in another process).
A specification says everything: two farms given equal specifications answer alike, request by
request. Nothing here reads a clock, rolls a die or opens a socket.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from pacewheel.errors import ConfigInvalid

PAGES_MAX = 1_000_000
SITES_MAX = 1_000

CdnVendor = Literal[
    "cloudflare",
    "x-cache",
    "cache-status",
    "fastly",
    "cloudfront",
    "akamai",
    "vercel",
    "nginx",
    "varnish",
]
HostileKind = Literal["drip", "close", "never", "gzip-bomb"]
SitemapKind = Literal["flat", "index", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Robots:
    """The site's robots.txt; ``missing`` answers 404 (which allows everything, RFC 9309 2.3.1.3)."""

    missing: bool = False
    disallow: tuple[str, ...] = ()
    crawl_delay_s: float = 0.0
    lists_sitemap: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Answers 429 for ``retry_after_s`` seconds once ``after_requests`` have come, then recovers.

    The count starts again after each window, ``windows`` times in all.
    """

    after_requests: int
    retry_after_s: int
    windows: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cdn:
    """A cache in front of the site, which speaks like ``vendor``.

    A page is a MISS until its request number ``hits_from`` (2 at least), then a HIT (0: never). A
    copy is fresh for ``ttl_s`` seconds, then served stale for ``stale_s`` while another is fetched,
    then fetched anew. With ``held_s`` there is a copy of every page from the start, so old at the
    page's first request.

    Every ``bypass_every``-th page (0: none) is never cached, for ``causes`` in turn: ``no-store``,
    ``private``, ``no-cache``, ``no-freshness``, ``set-cookie``, ``vary-star``, ``bypass`` or
    ``dynamic``; without any the cache says BYPASS or DYNAMIC to ``private, no-store``.
    """

    vendor: CdnVendor
    ttl_s: float = 3600.0
    stale_s: float = 0.0
    held_s: float = 0.0
    hits_from: int = 2
    bypass_every: int = 0
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """``source`` (a path) answers 301 to ``target``: a path, or ``{neighbour}`` plus a path."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSpec:
    """One site.

    ``pages`` counts the ordinary pages, number 0 being ``/``; they form a tree with ``branching``
    children each, plus ``cross_links`` seeded links a page and ``footer_links`` on every page.
    The last ``sitemap_only`` pages are linked from nowhere; every ``sitemap_skips``-th page is in
    no sitemap. ``unavailable`` maps page numbers to the error status they answer for ever.
    ``strict_gap_ms`` is the gap below which the site answers 429 and notes the request as early:
    set it somewhat below the permitted gap, because the way over loopback has its own jitter.
    """

    name: str
    pages: int
    seed: int = 0
    branching: int = 6
    cross_links: int = 3
    footer_links: int = 2
    page_bytes: int = 4_000
    page_bytes_spread: int = 4_000
    latency_ms: int = 5
    latency_spread_ms: int = 10
    robots: Robots = Robots()
    sitemap: SitemapKind = "flat"
    sitemap_child_pages: int = 100
    sitemap_skips: int = 0
    sitemap_only: int = 0
    unavailable: tuple[tuple[int, int], ...] = ()
    redirects: tuple[Redirect, ...] = ()
    rate_limit: RateLimit | None = None
    strict_gap_ms: int = 0
    cdn: Cdn | None = None
    hostile: tuple[HostileKind, ...] = ()
    neighbour_link: bool = False

    def __post_init__(self) -> None:
        """Refuse what no farm could serve; raises ConfigInvalid."""
        problems = [
            (not 1 <= self.pages <= PAGES_MAX, f"pages must be 1 to {PAGES_MAX}"),
            (not 1 <= self.branching <= 8, "branching must be 1 to 8"),
            (not 0 <= self.sitemap_only < self.pages, "sitemap_only must be below pages"),
            (self.sitemap_child_pages < 1, "sitemap_child_pages must be at least 1"),
            (any(not 0 < page < self.pages for page, _ in self.unavailable), "no such page"),
        ]
        for wrong, sentence in problems:
            if wrong:
                message = f"site {self.name!r} of the farm: {sentence}; correct its SiteSpec"
                raise ConfigInvalid(message)

    @property
    def sitemap_is_announced(self) -> bool:
        """Whether a crawler learns of the sitemap from robots.txt."""
        return self.sitemap != "none" and self.robots.lists_sitemap and not self.robots.missing


def specs_to_json(specs: tuple[SiteSpec, ...]) -> bytes:
    """One line of JSON from which ``specs_from_json`` makes equal specifications."""
    return orjson.dumps([dataclasses.asdict(spec) for spec in specs])


def specs_from_json(text: bytes) -> tuple[SiteSpec, ...]:
    """The inverse of ``specs_to_json``; raises ConfigInvalid for anything else."""
    try:
        return tuple(_spec_from_dict(fields) for fields in orjson.loads(text))
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        message = f"the site list cannot be read ({error}); write it with specs_to_json"
        raise ConfigInvalid(message) from error


def _spec_from_dict(fields: dict[str, Any]) -> SiteSpec:
    robots = fields["robots"]
    return SiteSpec(
        **{
            **fields,
            "robots": Robots(**{**robots, "disallow": tuple(robots["disallow"])}),
            "unavailable": tuple((page, status) for page, status in fields["unavailable"]),
            "redirects": tuple(Redirect(**redirect) for redirect in fields["redirects"]),
            "rate_limit": RateLimit(**fields["rate_limit"]) if fields["rate_limit"] else None,
            "cdn": _cdn_from_dict(fields["cdn"]) if fields["cdn"] else None,
            "hostile": tuple(fields["hostile"]),
        }
    )


def _cdn_from_dict(fields: dict[str, Any]) -> Cdn:
    return Cdn(**{**fields, "causes": tuple(fields["causes"])})
