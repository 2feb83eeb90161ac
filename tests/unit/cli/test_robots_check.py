"""`pacewheel robots check`: members, types and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pacewheel.cli.robots import check
from pacewheel.errors import PacewheelError

FILE = "User-agent: *\nDisallow: /\nUser-agent: bot\nCrawl-delay: 2\nAllow: /\nDisallow: /a\n"


def row(**members: Any) -> dict[str, Any]:
    """A good line, with some members replaced."""
    given = {
        "robots": FILE,
        "robots_base64": None,
        "user_agent": "Bot",
        "url": "https://h.example/a",
    }
    return {**given, **members}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, {"allowed": False, "line": 6, "crawl_delay": 2.0}),
        ({"url": "https://h.example/b"}, {"allowed": True, "line": 5, "crawl_delay": 2.0}),
        ({"url": "https://u:p@h.example/a"}, {"allowed": False, "line": 6, "crawl_delay": 2.0}),
        ({"user_agent": "Bot/1.0"}, {"allowed": False, "line": 6, "crawl_delay": 2.0}),
        ({"user_agent": "Bot two"}, {"allowed": False, "line": 2, "crawl_delay": None}),
        ({"user_agent": ""}, {"allowed": False, "line": 2, "crawl_delay": None}),
        ({"robots": ""}, {"allowed": True, "line": None, "crawl_delay": None}),
        (
            {"robots": None, "robots_base64": base64.b64encode(b"\xef\xbb\xbf" + FILE.encode())},
            {"allowed": False, "line": 6, "crawl_delay": 2.0},
        ),
        (
            {"robots": "User-agent: *\n" + "#" * 500 * 1024 + "\nDisallow: /"},
            {"allowed": True, "line": None, "crawl_delay": None},
        ),
    ],
    ids=range(9),
)
def test_the_deciding_line_is_named(members: dict[str, Any], expected: dict[str, Any]) -> None:
    """Null where no rule decides; what stands behind 500 KiB is not read."""
    given = {name: v.decode() if isinstance(v, bytes) else v for name, v in members.items()}
    assert expected == check(row(**given))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"url": None}, "'url' is null: give a text"),
        ({"url": "ftp://h.example/"}, "only http and https"),
        ({"url": "a"}, "no scheme"),
        ({"user_agent": 1}, "'user_agent' is a number"),
        ({"robots": ["x"]}, "'robots' is a list"),
        ({"robots": None}, "give the file in 'robots' or in 'robots_base64'"),
        ({"robots_base64": ""}, "and null for the other"),
        ({"robots": None, "robots_base64": "?"}, "'robots_base64' is a text: give base64"),
        ({"robots": None, "robots_base64": 5}, "'robots_base64' is a number"),
    ],
    ids=range(9),
)
def test_what_is_wrong_is_named(members: dict[str, Any], words: str) -> None:
    """The member, and what to give instead."""
    with pytest.raises(PacewheelError) as refused:
        check(row(**members))
    assert words in str(refused.value)
