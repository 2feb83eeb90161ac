"""`pacewheel sitemap parse`: the filter that says what a sitemap file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacewheel.cli import filters
from pacewheel.crawl import sitemap, urls
from pacewheel.errors import LineRefused, TargetRefused


def parse(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return kind, URLs, sitemaps and warnings of the file in `body_base64`, read from `url`.

    Raises:
        LineRefused: a member is missing or wrong, or the file is no sitemap at all.
        TargetRefused: `url` can't be requested.
    """
    base = urls.parse(filters.text(row, "url")).href
    max_urls = filters.whole_or_none(row, "max_urls")
    body = filters.octets(row, "body_base64")
    found = sitemap.parse(body, sitemap.MAX_SITEMAP_URLS if max_urls is None else max_urls)
    if found.kind == "unknown":
        raise LineRefused(f"the file is no sitemap: {'; '.join(found.warnings)}")
    entries = []
    for entry in found.urls:
        loc = _absolute(entry.loc, base, found.warnings)
        if loc is not None:
            entries.append({"loc": loc, "lastmod": entry.lastmod, "priority": entry.priority})
    files = [_absolute(loc, base, found.warnings) for loc in found.sitemaps]
    return {
        "kind": found.kind,
        "urls": entries,
        "sitemaps": [loc for loc in files if loc is not None],
        "warnings": found.warnings,
    }


def _absolute(loc: str, base: str, warnings: list[str]) -> str | None:
    """Return `loc` as it stands if it is absolute, resolved otherwise; None if it is no URL."""
    try:
        resolved = urls.parse(loc, base).href
    except TargetRefused as refused:
        warnings.append(f"left out: {refused}")
        return None
    return loc if loc.lower().startswith(("http://", "https://")) else resolved
