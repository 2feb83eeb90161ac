"""Robots directives and the HTML standard's refresh."""

from __future__ import annotations

import time

import pytest

from pacewheel.crawl.directives import Directives, refresh_target


@pytest.mark.parametrize(
    ("value", "noindex", "nofollow"),
    [
        ("noindex", True, False),
        ("NoFollow , noarchive", False, True),
        ("none", True, True),
        ("all", False, False),
        ("otherbot: noindex, nofollow", False, False),
        ("PaceWheel: noindex", True, False),
        ("otherbot: noindex, pacewheel: nofollow", False, True),
        ("pacewheel: nofollow, otherbot: noindex", False, True),
        ("noindex, otherbot: nofollow", True, False),
        ("*: noindex", True, False),
        ("max-snippet: 20, noindex", True, False),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST", False, False),
        ("unavailable_after: Friday, 25-Jun-10 15:00:00 GMT, noindex", True, False),
        ("", False, False),
        (":,:,", False, False),
        ("noindexing", False, False),
    ],
)
def test_a_robots_header_is_for_everybody_or_for_one_crawler(
    value: str, *, noindex: bool, nofollow: bool
) -> None:
    """Directives behind a crawler's name are its own, up to the next name."""
    directives = Directives("pacewheel")
    directives.read_header(value)
    assert (noindex, nofollow) == (directives.noindex, directives.nofollow)


def test_the_strictest_of_several_directives_wins() -> None:
    """Headers and meta elements together; a later `all` takes nothing back."""
    directives = Directives("pacewheel")
    directives.read_header("noindex")
    directives.read_meta("robots", "all")
    directives.read_meta("pacewheel", "nofollow")
    assert Directives("pacewheel", noindex=True, nofollow=True) == directives


@pytest.mark.parametrize(
    ("content", "target"),
    [
        ("0; url=/a", "/a"),
        ("0;URL='/a'", "/a"),
        ('5, url = "/a"rest', "/a"),
        ("1.5 url=/a b", "/a b"),
        (".5;/a", "/a"),
        (" 0 /a", "/a"),
        ("0;'/a'x", "/a"),
        ("0;url'/a'", "url'/a'"),
        ("0;u", "u"),
        ("0;;/a", ";/a"),
        ("0;url=", None),
        ("0;url=''", None),
        ("5", None),
        ("0x;url=/a", None),
        ("-1;url=/a", None),
        ("url=/a", None),
        (";url=/a", None),
        ("", None),
    ],
)
def test_a_refresh_is_read_as_the_html_standard_says(content: str, target: str | None) -> None:
    """Its "shared declarative refresh steps"; None leads nowhere."""
    assert target == refresh_target(content)


@pytest.mark.parametrize("start", ["0", " ", "0 ", "0;url "])
def test_hostile_refreshes_cost_little(start: str) -> None:
    """Linear time, whatever the text; by backtracking it would be hours."""
    content = start + start[-1] * 500_000 + "x"
    started = time.process_time()
    refresh_target(content)
    assert time.process_time() - started < 10
