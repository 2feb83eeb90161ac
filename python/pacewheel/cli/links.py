"""`pacewheel links extract`: the filter that says where a page leads and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacewheel.cli import filters
from pacewheel.crawl import links, urls


def extract(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return every link of the page `html` at `url` in document order, repetitions too.

    With credentials too and of any length: nothing is requested here. `cut` is there only if
    something was left out, and says why.

    Raises:
        LineRefused: a member is missing or wrong.
        TargetRefused: `url` is no http(s) URL.
    """
    page = links.extract_all(filters.text(row, "html"), urls.resolve(filters.text(row, "url")))
    return {
        "links": [
            {"href": link.url.href, "position": link.position, "rel": link.rel}
            for link in page.links
        ],
        "canonical": None if page.canonical is None else page.canonical.href,
        "noindex": page.noindex,
        "nofollow": page.nofollow,
        **({} if page.cut is None else {"cut": page.cut}),
    }
