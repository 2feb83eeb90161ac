"""Why a page can never come from a cache: one word of a closed set, or none.

Pure functions. A cache that has a copy is believed before any header, and one that hides the
lifetimes it was given is not judged by what it shows instead.

| cause          | what is said                                                             |
| -------------- | ------------------------------------------------------------------------ |
| `no-store`     | Cache-Control: no-store                                                  |
| `private`      | Cache-Control: private                                                   |
| `vary-star`    | Vary: *                                                                  |
| `set-cookie`   | Set-Cookie, and this cache keeps no response with it                     |
| `status`       | an HTTP status that is not kept without an explicit lifetime             |
| `no-cache`     | Cache-Control: no-cache: the origin is asked every time                  |
| `no-freshness` | a lifetime of nothing: stale as soon as it is kept                       |
| `not-stored`   | the cache says that it did not keep it (Cache-Status, `stored=?0`)       |
| `bypass`       | the verdict, without one of the above                                    |
| `dynamic`      | the same                                                                 |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.crawl import freshness
from pacewheel.crawl.cache_vendors import KEEPS_COOKIES

if TYPE_CHECKING:
    from pacewheel.crawl.cache_verdict import Verdict
    from pacewheel.crawl.fields import Fields

CAUSES = (
    *("no-store", "private", "vary-star", "set-cookie", "status"),
    *("no-cache", "no-freshness", "not-stored", "bypass", "dynamic"),
)

HELPABLE = frozenset({"miss", "expired", "stale"})
"""The verdicts after which a second request may be a hit."""

_FROM_A_COPY = frozenset({"hit", "stale", "revalidated"})
# These strip what they were told and send browsers a lifetime of nothing.
_HIDES_LIFETIMES = ("X-Vercel-Cache", "X-NF-Request-ID")


def uncacheable(headers: Fields, status: int, verdict: Verdict) -> str | None:
    """Return the cause why no shared cache answers for this page, None if one does or might."""
    nearest = verdict.layers[-1] if verdict.layers else None
    if verdict.status in _FROM_A_COPY or (nearest is not None and nearest.stored):
        return None
    keeps_cookies = nearest is not None and nearest.cache in KEEPS_COOKIES
    cause = freshness.storage_obstacle(headers, status, keeps_cookies=keeps_cookies)
    if cause is None and not any(name in headers for name in _HIDES_LIFETIMES):
        cause = freshness.reuse_obstacle(headers)
    if cause is not None:
        return cause
    if verdict.status in {"bypass", "dynamic"}:
        return verdict.status
    if nearest is not None and nearest.stored is False:
        return "not-stored"
    return None
