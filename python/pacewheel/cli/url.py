"""`pacewheel url normalize`: the filter that says what a URL is to us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacewheel.cli import filters
from pacewheel.crawl import urls


def normalize(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the serialisation of `url`, resolved against `base`, and its canonical key.

    Raises:
        LineRefused: a member is missing or wrong.
        TargetRefused: the URL is malformed, or not http(s).
    """
    url = urls.resolve(filters.text(row, "url"), filters.text_or_none(row, "base"))
    drop_tracking = filters.flag(row, "drop_tracking")
    sort_query = filters.flag(row, "sort_query")
    key = urls.folded(url.key, drop_tracking=drop_tracking, sort_query=sort_query)
    return {"href": url.href, "key": key}
