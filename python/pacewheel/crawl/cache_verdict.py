"""The cache's answer to one request: a verdict, its layers, the age and what is left of freshness.

Owns the reading of Cache-Status (RFC 9211), which goes before all else; then comes what the vendors
say in their own headers (`cache_vendors`), then Age. Pure functions over response headers, which
never raise, whatever they hold.

| verdict       | the cache nearest to us ...                                           |
| ------------- | --------------------------------------------------------------------- |
| `hit`         | answered with a fresh copy                                            |
| `stale`       | answered with a copy that is fresh no more                            |
| `revalidated` | answered with its copy after the origin had confirmed it              |
| `expired`     | had a copy that was fresh no more, and fetched another                |
| `miss`        | had no copy                                                           |
| `bypass`      | was told not to look for one, or not to keep one                      |
| `dynamic`     | takes this for nothing that is ever cached, or made the answer itself |
| `unknown`     | says nothing that can be read, or there is none                       |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from http_sf import Token

from pacewheel.crawl import freshness
from pacewheel.crawl.cache_vendors import Layer, vendor_layers
from pacewheel.crawl.fields import joined, structured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pacewheel.crawl.fields import Fields

VERDICTS = frozenset(
    {"hit", "miss", "stale", "expired", "revalidated", "bypass", "dynamic", "unknown"}
)

# RFC 9211 section 2.2: why a request went forward. A reason that is none of these is a miss too.
_FORWARDED = {"bypass": "bypass", "method": "bypass", "request": "bypass", "stale": "expired"}
_NAME_MAX_CHARS = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the caches on the way made of a request.

    Attributes:
        status: the verdict of the nearest cache that says anything, a word of `VERDICTS`.
        layers: the caches that speak, origin first as in RFC 9211.
        age_s: the response's Age.
        ttl_s: what is left of its freshness, negative when it is stale; None if that is unknown.
    """

    status: str
    layers: tuple[Layer, ...]
    age_s: int | None
    ttl_s: int | None


def classify(headers: Fields) -> Verdict:
    """Return the verdict of these response headers, a multi-dict that ignores case."""
    age_s, left_s = freshness.age_s(headers), freshness.remaining_s(headers)
    layers = _cache_status(joined(headers, "Cache-Status"))
    telling = _telling(layers)
    if telling is None:
        layers = vendor_layers(headers) or layers
        telling = _telling(layers)
    if not layers and age_s:
        # Only a cache sends an Age (RFC 9111 section 5.1).
        layers = [Layer("hit" if left_s is None or left_s >= 0 else "stale")]
        telling = layers[0]
    if telling is None:
        return Verdict("unknown", tuple(layers), age_s, left_s)
    ttl_s = left_s if telling.ttl_s is None else telling.ttl_s
    return Verdict(telling.status, tuple(layers), age_s, ttl_s)


def _telling(layers: Sequence[Layer]) -> Layer | None:
    return next((each for each in reversed(layers) if each.status != "unknown"), None)


def _cache_status(text: str) -> list[Layer]:
    """Return the layers of a Cache-Status field; one that is no list is ignored (RFC 9651, 4.2)."""
    layers = []
    for value, parameters in structured(text, "list") or ():
        # The member is the cache's name (RFC 9211 section 2); anything else is no cache.
        if isinstance(value, str | Token):
            layers.append(_layer(str(value), parameters))
    return layers


def _layer(name: str, parameters: Mapping[str, Any]) -> Layer:
    ttl = parameters.get("ttl")
    stored = parameters.get("stored")
    ttl_s = ttl if isinstance(ttl, int) and not isinstance(ttl, bool) else None
    return Layer(
        _member_status(parameters, ttl_s),
        name[:_NAME_MAX_CHARS],
        ttl_s,
        stored if isinstance(stored, bool) else None,
    )


def _member_status(parameters: Mapping[str, Any], ttl_s: int | None) -> str:
    reason = parameters.get("fwd")
    if parameters.get("hit") is True:
        # RFC 9211 has no `fwd` beside `hit`: Netlify says so that it fetches another copy.
        is_stale = reason == "stale" or (ttl_s is not None and ttl_s < 0)
        return "stale" if is_stale else "hit"
    if not isinstance(reason, Token):
        return "unknown"
    if reason == "stale" and parameters.get("fwd-status") == 304:
        return "revalidated"
    return _FORWARDED.get(str(reason), "miss")
