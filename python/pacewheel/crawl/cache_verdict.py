"""The cache's answer in one word, from the response's headers.

Owns the reading of Cache-Status (RFC 9211) first, then CF-Cache-Status, X-Cache and Age. The
words are a closed set: hit, miss, stale, expired, revalidated, bypass, dynamic, unknown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VERDICTS = frozenset(
    {"hit", "miss", "stale", "expired", "revalidated", "bypass", "dynamic", "unknown"}
)

_CLOUDFLARE = {
    "HIT": "hit",
    "MISS": "miss",
    "EXPIRED": "expired",
    "STALE": "stale",
    "UPDATING": "stale",
    "REVALIDATED": "revalidated",
    "BYPASS": "bypass",
    "DYNAMIC": "dynamic",
    "NONE": "unknown",
    "UNKNOWN": "unknown",
}
# RFC 9211 section 2.2: why a request went forward.
_FORWARDED = {
    "bypass": "bypass",
    "method": "bypass",
    "request": "bypass",
    "uri-miss": "miss",
    "vary-miss": "miss",
    "miss": "miss",
    "partial": "miss",
    "stale": "expired",
}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def classify(headers: Mapping[str, str]) -> str:
    """Return the verdict of the cache nearest to us; `headers` should ignore case."""
    status = headers.get("Cache-Status")
    if status:
        return _from_cache_status(status)
    cloudflare = headers.get("CF-Cache-Status")
    if cloudflare:
        return _CLOUDFLARE.get(cloudflare.strip().upper(), "unknown")
    x_cache = headers.get("X-Cache")
    if x_cache:
        # Fastly lists its layers origin first, separated by commas: the last one is nearest to us.
        return _from_words(x_cache.rpartition(",")[2])
    age = headers.get("Age", "").strip()
    if age.isdecimal() and int(age[:12]) > 0:
        return "hit"
    return "unknown"


def _from_cache_status(value: str) -> str:
    # The list's last member is the cache nearest to us; quoted strings may hold commas and
    # semicolons.
    nearest = _QUOTED.sub("", value).rpartition(",")[2]
    parameters: dict[str, str] = {}
    for part in nearest.split(";")[1:]:
        name, _, parameter = part.strip().partition("=")
        parameters[name.strip().lower()] = parameter.strip().lower()
    if "hit" in parameters and parameters["hit"] != "?0":
        ttl = parameters.get("ttl", "")
        return "stale" if ttl.startswith("-") else "hit"
    reason = parameters.get("fwd")
    if reason is None:
        return "unknown"
    if reason == "stale" and parameters.get("fwd-status") == "304":
        return "revalidated"
    return _FORWARDED.get(reason, "unknown")


def _from_words(text: str) -> str:
    words = text.lower()
    for needle, verdict in (
        ("refresh", "revalidated"),
        ("revalid", "revalidated"),
        ("stale", "stale"),
        ("expired", "expired"),
        ("bypass", "bypass"),
        ("pass", "bypass"),
        ("dynamic", "dynamic"),
        ("miss", "miss"),
        ("hit", "hit"),
    ):
        if needle in words:
            return verdict
    return "unknown"
