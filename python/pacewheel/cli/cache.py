"""`pacewheel cache classify`: the filter that says what the caches on the way made of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multidict import CIMultiDict

from pacewheel.cli import filters
from pacewheel.crawl.cache_vendors import Layer
from pacewheel.crawl.cache_verdict import classify as verdict_of
from pacewheel.errors import LineRefused


def classify(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return verdict, layers (origin first), age and remaining freshness of a response.

    Raises:
        LineRefused: `headers` is no list of pairs of texts, or `status` no whole number.
    """
    filters.whole_or_none(row, "status")
    verdict = verdict_of(_headers(row))
    return {
        "status": verdict.status,
        "layers": [_layer(layer) for layer in verdict.layers],
        "age_seconds": verdict.age_s,
        "ttl_seconds": verdict.ttl_s,
    }


def _headers(row: Mapping[str, Any]) -> CIMultiDict[str]:
    given = row.get("headers")
    if not isinstance(given, list):
        raise LineRefused("member 'headers' is no list: give a list of [name, value]")
    for pair in given:
        is_pair = isinstance(pair, list) and len(pair) == 2
        if not is_pair or not all(isinstance(text, str) for text in pair):
            raise LineRefused("member 'headers' holds no pair of texts: give [name, value] each")
    # The white space around a value is none of it (RFC 9110 section 5.5).
    return CIMultiDict((name.strip(), value.strip(" \t\r\n")) for name, value in given)


def _layer(layer: Layer) -> dict[str, Any]:
    """Return a layer without what it leaves unsaid."""
    said = {
        "status": layer.status,
        "cache": layer.cache,
        "ttl_seconds": layer.ttl_s,
        "stored": layer.stored,
        "hits": layer.hits,
    }
    return {name: value for name, value in said.items() if value is not None}
