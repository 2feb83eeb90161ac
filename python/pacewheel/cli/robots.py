"""`pacewheel robots check`: the filter that says whether robots.txt lets a crawler fetch a URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacewheel.cli import filters
from pacewheel.crawl import robots, urls
from pacewheel.errors import LineRefused


def check(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `robots`, or the bytes in `robots_base64`, says to `user_agent` of `url`.

    `user_agent` is a product token; the version of a name that has one (`bot/1.0`) is ignored.

    Raises:
        LineRefused: a member is missing or wrong, or the file is given in none or both ways.
        TargetRefused: `url` is no http(s) URL.
    """
    target = urls.resolve(filters.text(row, "url")).target
    token = filters.text(row, "user_agent").partition("/")[0].strip()
    body = _body(row)
    cut = body[: robots.MAX_ROBOTS_BYTES]
    rules = robots.parse(robots.decode(cut, truncated=len(cut) < len(body)), token)
    rule = rules.decide(target)
    return {
        "allowed": rule is None or rule.is_allow,
        "line": None if rule is None else rule.line,
        "crawl_delay": rules.crawl_delay_s,
    }


def _body(row: Mapping[str, Any]) -> bytes:
    text = filters.text_or_none(row, "robots")
    if row.get("robots_base64") is None and text is not None:
        return text.encode()
    if text is None and row.get("robots_base64") is not None:
        return filters.octets(row, "robots_base64")
    raise LineRefused("give the file in 'robots' or in 'robots_base64', and null for the other")
