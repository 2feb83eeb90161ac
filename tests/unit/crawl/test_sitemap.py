"""Sitemaps: what is read, what is refused, and that nothing raises."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.crawl.sitemap import SitemapEntry, SitemapParser, parse

URLSET = b"""<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
        xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
  <url><loc> https://example.com/a?b=1&amp;c=2 </loc><lastmod>2026-01-01</lastmod>
       <priority>0.8</priority>
       <image:image><image:loc>https://example.com/i.png</image:loc></image:image></url>
  <url><loc><![CDATA[https://example.com/b]]></loc><priority>high</priority></url>
  <url><lastmod>2026</lastmod></url>
</urlset>"""
PACKED = gzip.compress(URLSET)


def test_a_urlset_gives_locations_with_lastmod_and_priority() -> None:
    """Entities and CDATA resolved, image locations ignored, priority 0.1 by default."""
    sitemap = parse(URLSET)
    assert ("urlset", []) == (sitemap.kind, sitemap.warnings)
    assert [
        SitemapEntry("https://example.com/a?b=1&c=2", "2026-01-01", 0.8),
        SitemapEntry("https://example.com/b", None, 0.1),
    ] == sitemap.urls


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_pieces_of_any_size_give_the_same(size: int, pack: object) -> None:
    """Plain and gzip, down to single bytes."""
    data = pack(URLSET)  # type: ignore[operator]  # a parametrised callable
    parser = SitemapParser()
    for start in range(0, len(data), size):
        assert parser.feed(data[start : start + size])
    assert parse(URLSET) == parser.close()


def test_an_index_gives_sitemaps() -> None:
    """Any prefix, any case of the root."""
    sitemap = parse(
        b'<s:sitemapindex xmlns:s="x"><s:sitemap><s:loc>/1.xml</s:loc></s:sitemap></s:sitemapindex>'
    )
    assert ("index", ["/1.xml"], []) == (sitemap.kind, sitemap.sitemaps, sitemap.urls)


def test_concatenated_gzip_members_are_one_file() -> None:
    """As gzip itself treats them."""
    data = gzip.compress(URLSET[:100]) + gzip.compress(URLSET[100:])
    assert parse(URLSET) == parse(data)


def test_a_text_file_has_one_url_a_line() -> None:
    """BOM, CRLF, blank lines."""
    sitemap = parse(b"\xef\xbb\xbfhttps://example.com/a\r\n\r\nhttps://example.com/b")
    assert ("text", 2) == (sitemap.kind, len(sitemap.urls))
    assert "https://example.com/a" == sitemap.urls[0].loc


def test_utf_16_is_read() -> None:
    """The byte order mark says so."""
    text = URLSET.decode().replace('encoding="UTF-8"', 'encoding="UTF-16"')
    assert 2 == len(parse(text.encode("utf-16")).urls)


@pytest.mark.parametrize(
    ("body", "kind", "count", "warning"),
    [
        (b"", "unknown", 0, "empty"),
        (b"<html><body>no</body></html>", "unknown", 0, "'html'"),
        (b"Not found", "unknown", 0, "neither XML"),
        (URLSET[:-30], "urlset", 2, "not well-formed"),
        (URLSET.replace(b"</priority>", b"</oops>", 1), "urlset", 0, "not well-formed"),
        pytest.param(PACKED[:-20], "urlset", 1, "ends early", id="cut short"),
        pytest.param(PACKED[:40] + b"\xff" * 50, "urlset", 0, "broken", id="damaged"),
        (b"<urlset>" + b"<url>" * 100, "urlset", 0, "too deeply"),
        (
            b'<!DOCTYPE u [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><urlset><url><loc>&b;</loc>',
            "unknown",
            0,
            "entities",
        ),
        (
            b'<!DOCTYPE u [<!ENTITY a SYSTEM "file:///etc/passwd">]><urlset><url><loc>&a;</loc>',
            "unknown",
            0,
            "entities",
        ),
    ],
)
def test_broken_files_give_what_was_read_and_a_warning(
    body: bytes, kind: str, count: int, warning: str
) -> None:
    """Never an exception, never silence."""
    sitemap = parse(body)
    assert any(warning in text for text in sitemap.warnings), sitemap.warnings
    assert count == len(sitemap.urls)
    if count:
        assert kind == sitemap.kind


def test_reading_stops_at_the_limit_of_urls() -> None:
    """Lesson 12: the limit is applied while reading."""
    parser = SitemapParser(max_urls=10)
    piece = b"<url><loc>https://example.com/x</loc></url>" * 5
    assert parser.feed(b"<urlset>" + piece)
    fed = 1
    while parser.feed(piece):
        fed += 1
        assert fed < 10
    assert 2 == fed
    sitemap = parser.close()
    assert (10, 1) == (len(sitemap.urls), len(sitemap.warnings))


def test_a_gzip_bomb_is_cut_with_bounded_memory() -> None:
    """200 MB of blanks in 200 KB."""
    packed = gzip.compress(b"<urlset>" + b" " * 200_000_000, 1)
    tracemalloc.start()
    parser = SitemapParser()
    parser.feed(packed)
    sitemap = parser.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert any("expands" in text or "longer" in text for text in sitemap.warnings)
    assert peak < 5_000_000


def test_an_endless_location_is_bounded() -> None:
    """Text is kept up to a length; it is refused as a URL later."""
    sitemap = parse(b"<urlset><url><loc>" + b"x" * 3_000_000 + b"</loc></url></urlset>")
    assert len(sitemap.urls[0].loc) < 3_000_000


@pytest.mark.parametrize("value", ["nan", "inf", "-0.5", "1.5", "0,5", ""])
def test_a_priority_out_of_range_is_the_default(value: str) -> None:
    """0.1, the design's default."""
    body = f"<urlset><url><loc>/</loc><priority>{value}</priority></url></urlset>"
    assert 0.1 == parse(body.encode()).urls[0].priority


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_raise(data: bytes, is_tail: bool) -> None:  # noqa: FBT001  # hypothesis argument
    """Random bytes, alone and behind a good beginning."""
    parse(URLSET[:200] + data if is_tail else data)
