"""`pacewheel sitemap parse`: the filter that says what a sitemap file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pacewheel.cli import filters
from pacewheel.crawl import sitemap, urls
from pacewheel.crawl.sitemap_found import MAX_SITEMAP_URLS
from pacewheel.errors import LineRefused, TargetRefused


def parse(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return kind, URLs, sitemaps and warnings of the file in `body_base64`, read from `url`.

    A location that is absolute stays as it is written; another one is resolved against `url`.

    Raises:
        LineRefused: a member is missing or wrong, or the file is no sitemap at all.
        TargetRefused: `url` is no http(s) URL.
    """
    base = urls.resolve(filters.text(row, "url")).href
    max_urls = filters.whole_or_none(row, "max_urls")
    body = filters.octets(row, "body_base64")
    found = sitemap.parse(body, MAX_SITEMAP_URLS if max_urls is None else max_urls)
    if found.kind == "unknown":
        raise LineRefused(f"the file is no sitemap: {'; '.join(found.warnings)}")
    refused: list[str] = []
    entries = []
    for entry in found.urls:
        loc = _absolute(entry.loc, base, refused)
        if loc is not None:
            entries.append({"loc": loc, "lastmod": entry.lastmod, "priority": entry.priority})
    files = [_absolute(loc, base, refused) for loc in found.sitemaps]
    if refused:
        found.warnings.append(f"left out: {len(refused)} of the locations; first: {refused[0]}")
    return {
        "kind": found.kind,
        "urls": entries,
        "sitemaps": [loc for loc in files if loc is not None],
        "warnings": found.warnings,
    }


def _absolute(loc: str, base: str, refused: list[str]) -> str | None:
    try:
        resolved = urls.resolve(loc, base).href
    except TargetRefused as error:
        refused.append(str(error))
        return None
    return loc if loc[:8].lower().startswith(("http://", "https://")) else resolved
