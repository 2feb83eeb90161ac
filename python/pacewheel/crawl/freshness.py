"""How long a response stays fresh in a shared cache, and why it can't be kept there: RFC 9111.

Pure functions over response headers. Time is the response's own: an Expires without a Date says
nothing here, since nobody knows when the headers were read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pacewheel.crawl.fields import DELTA_MAX_S, joined, members, seconds, structured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pacewheel.crawl.fields import Fields

HEURISTIC_STATUSES = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
"""What may be kept without an explicit lifetime (RFC 9110 section 15.1)."""

_MAX_DATE_CHARS = 64
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def age_s(headers: Fields) -> int | None:
    """Return the Age: the first member counts, an invalid one is ignored (section 5.1)."""
    found = members(joined(headers, "Age"))
    return seconds(found[0]) if found else None


def directives(headers: Fields) -> Mapping[str, str | None]:
    """Return the cache directives that bind a shared cache, by name; the first of a name counts.

    A targeted CDN-Cache-Control, if it can be read, stands in place of Cache-Control (RFC 9213).
    """
    return _targeted(headers) or _cache_control(headers)


def lifetime_s(headers: Fields) -> int | None:
    """Return the freshness lifetime for a shared cache (section 4.2.1), None without explicit one.

    Invalid freshness information means stale: 0 (section 4.2.1).
    """
    given = directives(headers)
    for name in ("s-maxage", "max-age"):
        if name in given:
            return seconds(given[name]) or 0
    if "Expires" not in headers:
        return None
    expires = _date(headers.get("Expires"))
    if expires is None:
        return 0
    date = _date(headers.get("Date"))
    if date is None:
        return None
    lifetime = int((expires - date).total_seconds())
    return max(-DELTA_MAX_S, min(lifetime, DELTA_MAX_S))


def remaining_s(headers: Fields) -> int | None:
    """Return the lifetime less the age, negative for a stale response; None if it is unknown."""
    lifetime = lifetime_s(headers)
    return None if lifetime is None else lifetime - (age_s(headers) or 0)


def storage_obstacle(headers: Fields, status: int, *, keeps_cookies: bool) -> str | None:
    """Return why a shared cache keeps no copy of this response, None if it may (section 3).

    `keeps_cookies`: this cache keeps responses with Set-Cookie, which RFC 9111 permits and most
    caches refuse. The words are of `uncacheable.CAUSES`.
    """
    given = directives(headers)
    if "no-store" in given:
        return "no-store"
    # With field names these two concern only those fields (sections 5.2.2.4 and 5.2.2.7).
    if given.get("private", "other") is None:
        return "private"
    if "*" in members(joined(headers, "Vary")):
        return "vary-star"
    if "Set-Cookie" in headers and not keeps_cookies:
        return "set-cookie"
    if status not in HEURISTIC_STATUSES and lifetime_s(headers) is None and "public" not in given:
        return "status"
    return None


def reuse_obstacle(headers: Fields) -> str | None:
    """Return why a kept copy can't answer by itself, None if it can (sections 4 and 5.2.2.4)."""
    given = directives(headers)
    if given.get("no-cache", "other") is None:
        return "no-cache"
    lifetime = lifetime_s(headers)
    if lifetime is not None and lifetime <= 0 and not seconds(given.get("stale-while-revalidate")):
        return "no-freshness"
    return None


def _targeted(headers: Fields) -> Mapping[str, str | None]:
    parsed = structured(joined(headers, "CDN-Cache-Control"), "dictionary") or {}
    found: dict[str, str | None] = {}
    for name, (value, _) in parsed.items():
        if value is True:
            found[name] = None
        elif value is not False:
            found[name] = str(value)
    return found


def _cache_control(headers: Fields) -> Mapping[str, str | None]:
    found: dict[str, str | None] = {}
    for member in members(joined(headers, "Cache-Control")):
        name, is_given, value = member.partition("=")
        found.setdefault(name.strip().lower(), _unquoted(value.strip()) if is_given else None)
    return found


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _ESCAPED.sub(r"\1", text[1:-1])
    return text


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime((text or "")[:_MAX_DATE_CHARS])
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
