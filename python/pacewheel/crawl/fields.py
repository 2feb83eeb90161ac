"""Header fields of a response as text: joined, cut into list members, with numbers read exactly.

Owns what the cache's modules share in reading fields that anybody may have written: linear in their
length, bounded in what they keep, and never an error.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import http_sf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multidict import CIMultiDict, CIMultiDictProxy

    Fields = CIMultiDictProxy[str] | CIMultiDict[str]

MAX_FIELD_CHARS = 65_536
"""A longer field says nothing."""

DELTA_MAX_S = 2**31
"""What a longer time counts as (RFC 9111 section 1.2.2)."""

_MAX_MEMBERS = 1_000
_DELIMITERS = re.compile(r'\\.|[",]', re.DOTALL)
_DIGITS = re.compile(r"[0-9]+")


def joined(headers: Fields, name: str) -> str:
    """Return all of a field's lines as one list (RFC 9110 section 5.3), or `""` if there is none."""
    text = ", ".join(headers.getall(name, ()))
    return text if len(text) <= MAX_FIELD_CHARS else ""


def members(text: str) -> list[str]:
    """Return the members of a comma-separated list; commas in quoted strings don't separate."""
    return list(islice(_members(text), _MAX_MEMBERS))


def _members(text: str) -> Iterator[str]:
    start, is_quoted = 0, False
    for found in _DELIMITERS.finditer(text):
        mark = found[0]
        if mark == '"':
            is_quoted = not is_quoted
        elif mark == "," and not is_quoted:
            if member := text[start : found.start()].strip(" \t"):
                yield member
            start = found.end()
    if member := text[start:].strip(" \t"):
        yield member


def structured(text: str, kind: Literal["list", "dictionary"]) -> Any:
    """Return a structured field's members, each a (value, parameters) pair, by name or in order.

    None when the field can't be parsed: it is to be ignored as a whole (RFC 9651 section 4.2).
    """
    try:
        return http_sf.parse(text.encode("utf-8", "replace"), tltype=kind)
    except http_sf.StructuredFieldError:
        return None


def seconds(text: str | None) -> int | None:
    """Return delta-seconds as a number, None for anything else."""
    if text is None or not _DIGITS.fullmatch(text):
        return None
    digits = text.lstrip("0")[: len(str(DELTA_MAX_S)) + 1]
    return min(int(digits or "0"), DELTA_MAX_S)
