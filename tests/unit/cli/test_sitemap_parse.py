"""`pacewheel sitemap parse`: members, types and what is refused."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest

from pacewheel.cli.sitemap import parse
from pacewheel.errors import PacewheelError

URLSET = b"""<urlset><url><loc>http://h.example</loc><priority>0.5</priority></url>
<url><loc>../b?x=1&amp;y</loc><lastmod>2026-01-01</lastmod></url><url><loc>mailto:a@h</loc></url>
<url><loc>ftp://h/</loc></url><url><loc>http://u:p@h/</loc></url></urlset>"""


def row(body: bytes, **members: Any) -> dict[str, Any]:
    """A good line, with some members replaced."""
    packed = base64.b64encode(body).decode()
    given = {"url": "https://h.example/s/map.xml", "body_base64": packed, "max_urls": None}
    return {**given, **members}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_locations_are_absolute_and_what_is_left_out_is_named(pack: Any) -> None:
    """Resolved against the file's URL, but as written if they are absolute."""
    answer = parse(row(pack(URLSET)))
    assert {
        "kind": "urlset",
        "urls": [
            {"loc": "http://h.example", "lastmod": None, "priority": 0.5},
            {"loc": "https://h.example/b?x=1&y", "lastmod": "2026-01-01", "priority": None},
            {"loc": "http://u:p@h/", "lastmod": None, "priority": None},
        ],
        "sitemaps": [],
    } == {name: answer[name] for name in ("kind", "urls", "sitemaps")}
    (warning,) = answer["warnings"]
    assert "left out: 2 of the locations; first: URL 'mailto:***@h'" in warning


@pytest.mark.parametrize(
    ("body", "kind", "urls", "sitemaps"),
    [
        (b"<sitemapindex><sitemap><loc>/1</loc></sitemap></sitemapindex>", "index", 0, 1),
        (b"https://h.example/1\nhttps://h.example/2", "text", 2, 0),
        (b"<rss><channel><item><link>/1</link></item></channel></rss>", "feed", 1, 0),
        (b"<urlset/>", "urlset", 0, 0),
    ],
)
def test_the_kind_is_told(body: bytes, kind: str, urls: int, sitemaps: int) -> None:
    """Whatever it is called or sent as."""
    answer = parse(row(body))
    assert (kind, urls, sitemaps, []) == (
        answer["kind"],
        len(answer["urls"]),
        len(answer["sitemaps"]),
        answer["warnings"],
    )


@pytest.mark.parametrize(("max_urls", "count"), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_no_more_than_max_urls_are_given_and_the_cut_is_named(max_urls: int, count: int) -> None:
    """Exactly as many as there are cut nothing."""
    answer = parse(row(b"https://h.example/1\nhttps://h.example/2\n", max_urls=max_urls))
    assert count == len(answer["urls"])
    assert (max_urls < 2) == any("the rest is left out" in text for text in answer["warnings"])


def test_max_urls_does_not_cut_an_index() -> None:
    """It counts pages; of sitemaps the protocol's limit counts."""
    body = b"<sitemapindex>" + b"<sitemap><loc>/1</loc></sitemap>" * 50_001 + b"</sitemapindex>"
    answer = parse(row(body, max_urls=1))
    assert 50_000 == len(answer["sitemaps"])
    assert ["more than 50000 sitemaps: the rest is left out"] == answer["warnings"]


def test_without_max_urls_the_protocols_limit_counts() -> None:
    """50,000, and the rest is named."""
    answer = parse(row(b"https://h.example/1\n" * 50_001))
    assert 50_000 == len(answer["urls"])
    assert ["more than 50000 URLs: the rest is left out"] == answer["warnings"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"url": None}, "'url' is null: give a text"),
        ({"url": "file:///s.xml"}, "only http and https"),
        ({"body_base64": None}, "'body_base64' is null"),
        ({"body_base64": "a"}, "give base64"),
        ({"body_base64": "PHVyb*HNldC8+"}, "give base64"),
        ({"body_base64": "PGh0bWw+"}, "the file is no sitemap: the root element is 'html'"),
        ({"body_base64": ""}, "the file is no sitemap: the file is empty"),
        ({"max_urls": "5"}, "'max_urls' is a text: give a whole number from 0, or null"),
        ({"max_urls": 1.0}, "'max_urls' is a number"),
    ],
    ids=range(9),
)
def test_what_is_wrong_is_named(members: dict[str, Any], words: str) -> None:
    """The member, and what to give instead."""
    with pytest.raises(PacewheelError) as refused:
        parse(row(b"<urlset/>", **members))
    assert words in str(refused.value)
