"""Validators: which are kept and sent again."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from pacewheel.crawl.conditional import conditions_of, validators_of, well_formed

DATE = "Sun, 01 Mar 2026 12:02:00 GMT"


@pytest.mark.parametrize(
    ("headers", "validators"),
    [
        ({}, {}),
        ({"ETag": '"a"', "Last-Modified": DATE}, {"etag": '"a"', "last_modified": DATE}),
        ({"etag": 'W/"a-b"'}, {"etag": 'W/"a-b"'}),
        ({"ETag": "a"}, {}),
        ({"ETag": '"' + "a" * 201 + '"'}, {}),
        ({"ETag": '"\udcff"'}, {}),
        ({"ETag": '"a"\r\nHost: b'}, {}),
        ({"Last-Modified": "x" * 41}, {}),
    ],
)
def test_well_formed_validators_are_kept(
    headers: dict[str, str], validators: dict[str, str]
) -> None:
    """What could not be sent back as a header is not kept."""
    assert validators == validators_of(CIMultiDict(headers))


@pytest.mark.parametrize(
    "kept", [None, 1, [], "x", {"etag": 1}, {"etag": "x\r\ny"}, {"other": "a"}]
)
def test_whatever_a_result_holds_only_validators_are_taken(kept: Any) -> None:
    """An earlier version, or somebody's SQL, may have written it."""
    assert {} == well_formed(kept)


def test_each_validator_has_its_header() -> None:
    """Both are sent; who knows the first ignores the second (RFC 9110, 13.1.3)."""
    assert {"If-None-Match": '"a"', "If-Modified-Since": DATE} == conditions_of(
        {"etag": '"a"', "last_modified": DATE}
    )
