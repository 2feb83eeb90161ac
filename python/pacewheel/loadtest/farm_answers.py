"""How a site of the farm answers: content plus the little state that faults and caches need.

Owns, for one site, the request count, the open 429 window, the last arrival and the CDN
(`farm_cdn`). All of it is lost with the farm, on purpose: a restarted farm
starts afresh. Time comes in as an argument, so equal sequences of requests get equal answers.
"""

from __future__ import annotations

import gzip
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final, cast

import brotli

from pacewheel.loadtest.farm_cdn import HIT_LATENCY_DIVISOR, NS_PER_S, CdnCache
from pacewheel.loadtest.farm_pages import HOSTILE_PREFIX, Site, mix

if TYPE_CHECKING:
    from backports import zstd

    from pacewheel.loadtest.farm_sites import HostileKind
elif sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

REFUSAL_LATENCY_MS: Final = 1
EARLY_RETRY_AFTER_S: Final = 1
BOMB_BYTES: Final = 20_000_000
HTML_TYPE: Final = "text/html; charset=utf-8"
XML_TYPE: Final = "application/xml"
_BOMBS: Final = frozenset({"gzip-bomb", "br-bomb", "zstd-bomb", "zstd-window"})


@dataclass(slots=True)
class Answer:
    """What to send and when. ``hostile`` names the misbehaviour of the connection, if any."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    latency_ms: int = REFUSAL_LATENCY_MS
    retry_after_s: int = 0
    early: bool = False
    hostile: HostileKind | None = None


class SiteAnswers:
    """The answers of one site, in the order of its requests."""

    def __init__(self, site: Site) -> None:
        """Start with no request seen and an empty CDN."""
        self.site = site
        self._spec = site.spec
        self._counted = 0
        self._windows_left = site.spec.rate_limit.windows if site.spec.rate_limit else 0
        self._closed_until_ns = 0
        self._last_ns: int | None = None
        self._cdn = CdnCache(site.spec.cdn) if site.spec.cdn else None

    def answer(self, path: str, now_ns: int) -> Answer:
        """Decide the answer to a GET or HEAD of ``path`` that arrived at ``now_ns``."""
        last_ns, self._last_ns = self._last_ns, now_ns
        gap_ns = self._spec.strict_gap_ms * 1_000_000
        if last_ns is not None and now_ns - last_ns < gap_ns:
            return self._refusal(EARLY_RETRY_AFTER_S, early=True)
        closed_s = self._closed_for_s(now_ns)
        if closed_s:
            return self._refusal(closed_s, early=False)
        answer = self._content(path)
        spread = mix(self._spec.seed, "latency", path) % (self._spec.latency_spread_ms + 1)
        answer.latency_ms = self._spec.latency_ms + spread
        if self._cdn is not None and answer.status == 200 and answer.content_type == HTML_TYPE:
            headers, is_copy = self._cdn.look_up(path, self.site.page_of(path) or 0, now_ns)
            answer.headers |= headers
            if is_copy:
                answer.latency_ms //= HIT_LATENCY_DIVISOR
        return answer

    def _closed_for_s(self, now_ns: int) -> int:
        """Whole seconds (rounded up) that the site stays closed for, 0 if it is open."""
        limit = self._spec.rate_limit
        if limit is None:
            return 0
        if now_ns >= self._closed_until_ns:
            self._counted += 1
            if self._counted <= limit.after_requests or not self._windows_left:
                return 0
            self._counted = 0
            self._windows_left -= 1
            self._closed_until_ns = now_ns + limit.retry_after_s * NS_PER_S
        return -(-(self._closed_until_ns - now_ns) // NS_PER_S)

    def _refusal(self, retry_after_s: int, *, early: bool) -> Answer:
        headers = {"Retry-After": str(retry_after_s)}
        body = b"too many requests\n"
        return Answer(429, body, headers=headers, retry_after_s=retry_after_s, early=early)

    def _content(self, path: str) -> Answer:
        site = self.site
        page = site.page_of(path)
        if page is not None:
            status = site.unavailable.get(page, 200)
            return Answer(status, site.html(page) if status == 200 else b"unavailable\n", HTML_TYPE)
        if path in site.redirects:
            location = site.redirects[path].replace("{neighbour}", site.neighbour)
            return Answer(301, headers={"Location": location})
        if path == "/robots.txt":
            robots = site.robots_txt()
            return Answer(404, b"not found\n") if robots is None else Answer(200, robots)
        if path.startswith("/sitemap"):
            sitemap = site.sitemap(path)
            if sitemap is not None:
                return Answer(200, sitemap, XML_TYPE)
        for kind in self._spec.hostile:
            own = HOSTILE_PREFIX + kind
            if path == own or (kind == "redirects" and path.startswith(own + "/")):
                return _hostile_answer(kind, path, site.html(0))
        return Answer(404, b"not found\n", HTML_TYPE)


def _hostile_answer(kind: HostileKind, path: str, page: bytes) -> Answer:
    if kind in _BOMBS:
        coding = kind.partition("-")[0]
        return Answer(200, _bomb(kind), HTML_TYPE, {"Content-Encoding": coding}, hostile=kind)
    if kind == "redirects":
        tail = path.removeprefix(HOSTILE_PREFIX + "redirects/")[:9]
        number = int(tail) if tail.isdecimal() else 0
        return Answer(302, headers={"Location": f"{HOSTILE_PREFIX}redirects/{number + 1}"})
    if kind == "nesting":
        return Answer(200, b"<div><font size=1>" * 50_000 + page, HTML_TYPE, hostile=kind)
    return Answer(200 if kind == "drip" else 0, page, HTML_TYPE, hostile=kind)


@cache
def _bomb(kind: HostileKind) -> bytes:
    """A body that expands to 20 MB, or asks its decoder for a window of 128 MB."""
    zeros = bytes(BOMB_BYTES)
    if kind == "gzip-bomb":
        return gzip.compress(zeros)
    if kind == "br-bomb":
        return cast("bytes", brotli.compress(zeros, quality=5))
    log = {int(zstd.CompressionParameter.window_log): 27 if kind == "zstd-window" else 20}
    packer = zstd.ZstdCompressor(options=log)
    return packer.compress(zeros) + packer.flush()
