"""The URL standard's own test data (see tests/data/web-platform-tests) through our parser.

`URL_TEST_DATA=FILE` runs another version of the data instead, and then knows of no failures.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pacewheel.crawl import urls
from pacewheel.errors import TargetRefused

SHIPPED = Path(__file__).parents[2] / "data" / "web-platform-tests" / "urltestdata.json"
DATA = Path(os.environ.get("URL_TEST_DATA", SHIPPED))

# The standard has changed since this version of its data: a label whose Punycode can't be decoded
# is taken as it is when it is ASCII. The parser follows the standard.
KNOWN_FAILURES = {
    "http://a.b.c.xn--pokxncvks",
    "http://a.b.c.XN--pokxncvks",
    "http://a.b.c.Xn--pokxncvks",
    "http://10.0.0.xn--pokxncvks",
    "http://10.0.0.XN--pokxncvks",
    "http://10.0.0.xN--pokxncvks",
    "https://xn--/",
}


def cases() -> list[dict[str, Any]]:
    """All cases; the texts between them are comments."""
    return [case for case in json.loads(DATA.read_text()) if isinstance(case, dict)]


def expected(case: dict[str, Any]) -> str | None:
    """What a case resolves to, None if that is a failure or nothing that is requested."""
    return case["href"] if case.get("protocol") in ("http:", "https:") else None


def resolved(case: dict[str, Any]) -> str | None:
    """What our parser makes of a case."""
    try:
        return urls.resolve(case["input"], case["base"]).href
    except TargetRefused:
        return None


def test_the_url_standards_test_data_resolves_as_it_says() -> None:
    """All schemes: http and https as the data says, everything else refused."""
    run = cases()
    wrong = {case["input"] for case in run if expected(case) != resolved(case)}
    assert len(run) >= 819
    assert wrong == (KNOWN_FAILURES if DATA == SHIPPED else set())


def test_the_parts_of_a_url_are_those_of_the_standard() -> None:
    """Host and port, path, and query, wherever the data has a URL that we request."""
    looked_at = 0
    for case in cases():
        if expected(case) is None or case["username"] or case["password"]:
            continue
        url = urls.parse(case["input"], case["base"])
        looked_at += 1
        # The data writes an empty query as none; in a request it is there.
        query = case["search"] or "?" * url.target.endswith("?")
        assert (case["protocol"], case["host"]) == (f"{url.scheme}:", url.hostport)
        assert (case["pathname"], case["pathname"] + query) == (url.path, url.target)
    assert looked_at > 150


def test_keys_of_the_standards_urls_are_keys_of_themselves() -> None:
    """And a key has no fragment."""
    for case in cases():
        if expected(case) is not None:
            key = urls.resolve(case["href"]).key
            assert (key, key.partition("#")[0]) == (urls.resolve(key).key, key)


def test_a_lone_surrogate_is_a_replacement_character() -> None:
    """The standard's parser takes scalar values; its data for JavaScript says the same."""
    assert "http://e/%EF%BF%BD?%EF%BF%BD" == urls.resolve("http://e/\ud800?\udfff").href
