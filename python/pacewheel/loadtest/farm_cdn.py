"""The cache in front of a site of the farm: what it holds, and what it says in which vendor's words.

Owns one entry a page at most, lost with the farm. Time comes in as an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pacewheel.loadtest.farm_sites import Cdn, CdnVendor

NS_PER_S: Final = 1_000_000_000
HIT_LATENCY_DIVISOR: Final = 4
"""How much faster than its origin a cache answers."""

# The header, and its text for each verdict; `{ttl}` is what is left of the freshness.
_WORDS: Final[dict[CdnVendor, tuple[str, dict[str, str]]]] = {
    "cloudflare": (
        "CF-Cache-Status",
        {
            "hit": "HIT",
            "miss": "MISS",
            "expired": "EXPIRED",
            "stale": "UPDATING",
            "bypass": "BYPASS",
            "dynamic": "DYNAMIC",
        },
    ),
    "x-cache": ("X-Cache", {"hit": "HIT", "miss": "MISS", "stale": "STALE", "bypass": "BYPASS"}),
    "cache-status": (
        "Cache-Status",
        {
            "hit": "FarmCache; hit; ttl={ttl}",
            "miss": "FarmCache; fwd=uri-miss; stored",
            "expired": "FarmCache; fwd=stale; fwd-status=200; stored",
            "stale": "FarmCache; hit; ttl={ttl}",
            "bypass": "FarmCache; fwd=bypass",
            "refused": "FarmCache; fwd=uri-miss; stored=?0",
        },
    ),
    "fastly": ("X-Cache", {"hit": "HIT, HIT", "miss": "MISS, MISS"}),
    "cloudfront": ("X-Cache", {"hit": "Hit from cloudfront", "miss": "Miss from cloudfront"}),
    "akamai": (
        "X-Cache",
        {
            "hit": "TCP_MEM_HIT from a23-0-0-1 (AkamaiGHost/22.1) (-)",
            "miss": "TCP_MISS from a23-0-0-1 (AkamaiGHost/22.1) (-)",
            "expired": "TCP_REFRESH_MISS from a23-0-0-1 (AkamaiGHost/22.1) (-)",
            "stale": "TCP_REFRESH_FAIL_HIT from a23-0-0-1 (AkamaiGHost/22.1) (-)",
        },
    ),
    "vercel": ("X-Vercel-Cache", {"hit": "HIT", "miss": "MISS", "stale": "STALE"}),
    "nginx": (
        "X-Cache-Status",
        {"hit": "HIT", "miss": "MISS", "expired": "EXPIRED", "stale": "UPDATING", "bypass": "BYPASS"},
    ),
    "varnish": ("X-Varnish", {"hit": "2 1", "miss": "2"}),
}  # fmt: skip

# What a vendor without a word of its own says instead.
_PLAINER: Final = {
    "stale": "hit",
    "expired": "miss",
    "refused": "miss",
    "bypass": "miss",
    "dynamic": "bypass",
}

# What a page sends that is never cached; under `bypass` and `dynamic` the cache's own word says it.
_REFUSALS: Final = {
    "no-store": {"Cache-Control": "no-store"},
    "private": {"Cache-Control": "private, max-age=60"},
    "no-cache": {"Cache-Control": "no-cache"},
    "no-freshness": {"Cache-Control": "max-age=0"},
    "set-cookie": {"Set-Cookie": "visitor=1"},
    "vary-star": {"Vary": "*"},
}


class CdnCache:
    """What the cache holds of one site."""

    def __init__(self, cdn: Cdn) -> None:
        """Start empty."""
        self._cdn = cdn
        self._header, self._words = _WORDS[cdn.vendor]
        self._kept_ns: dict[str, int] = {}
        self._asked: dict[str, int] = {}

    def look_up(self, path: str, page: int, now_ns: int) -> tuple[dict[str, str], bool]:
        """Return the headers of a response to `path`, and whether it is the cache's copy."""
        cdn = self._cdn
        if cdn.bypass_every and page % cdn.bypass_every == cdn.bypass_every - 1:
            return self._refusal(page), False
        headers = {"Cache-Control": f"public, max-age={cdn.ttl_s:.0f}"}
        asked = self._asked[path] = self._asked.get(path, 0) + 1
        kept_ns = self._kept_ns.get(path)
        if cdn.held_s and asked == 1:
            kept_ns = now_ns - round(cdn.held_s * NS_PER_S)
        if kept_ns is None:
            if cdn.hits_from and asked >= cdn.hits_from - 1:
                self._kept_ns[path] = now_ns
            return headers | self._said("miss"), False
        left_ns = round(cdn.ttl_s * NS_PER_S) - (now_ns - kept_ns)
        self._kept_ns[path] = kept_ns if left_ns > 0 else now_ns
        if left_ns <= -round(cdn.stale_s * NS_PER_S):
            return headers | self._said("expired"), False
        said = self._said("hit" if left_ns > 0 else "stale", ttl_s=left_ns // NS_PER_S)
        return {**headers, **said, "Age": str((now_ns - kept_ns) // NS_PER_S)}, True

    def _said(self, verdict: str, *, ttl_s: int = 0) -> dict[str, str]:
        while verdict not in self._words:
            verdict = _PLAINER[verdict]
        return {self._header: self._words[verdict].format(ttl=ttl_s)}

    def _refusal(self, page: int) -> dict[str, str]:
        causes = self._cdn.causes
        if not causes:
            said = self._said("dynamic" if page % 2 == 0 else "bypass")
            return {**said, "Cache-Control": "private, no-store"}
        cause = causes[page // self._cdn.bypass_every % len(causes)]
        said = self._said(cause if cause in {"bypass", "dynamic"} else "refused")
        return said | _REFUSALS.get(cause, {})
