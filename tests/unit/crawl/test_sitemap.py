"""Sitemaps: what is read, what is refused, and that nothing raises."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.crawl import sitemap as sitemaps
from pacewheel.crawl.sitemap import SitemapParser, parse
from pacewheel.crawl.sitemap_found import SitemapEntry

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
    """Entities and CDATA resolved, image locations ignored, what is left out is named."""
    sitemap = parse(URLSET)
    assert ("urlset", 2) == (sitemap.kind, sitemap.found)
    assert [
        SitemapEntry("https://example.com/a?b=1&c=2", "2026-01-01", 0.8),
        SitemapEntry("https://example.com/b", None, None),
    ] == sitemap.urls
    assert [
        "a priority that is no number from 0 to 1 is left out (high)",
        "an entry without a location is left out (<url>)",
    ] == sitemap.warnings


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
    """BOM, CRLF, blank lines, white space around."""
    sitemap = parse(b"\xef\xbb\xbfhttps://example.com/a\r\n\r\n \thttps://example.com/b\t")
    assert "text" == sitemap.kind
    assert ["https://example.com/a", "https://example.com/b"] == [e.loc for e in sitemap.urls]


def test_a_text_without_urls_is_soon_given_up() -> None:
    """A hundred lines of prose say enough."""
    parser = SitemapParser()
    assert parser.feed(b"some words\n" * 100)
    assert not parser.feed(b"some words\n")
    assert "neither XML nor a list of URLs" == parser.close().warnings[0]


def test_behind_what_is_not_well_formed_reading_goes_on_in_pieces_of_any_size() -> None:
    """A tag may be divided between them."""
    body = b"<urlset>" + b"<url><loc>/&</loc></url><url><loc>/a</loc></url>" * 100
    for size in (1, 7, 64):
        parser = SitemapParser()
        for start in range(0, len(body), size):
            parser.feed(body[start : start + size])
        assert 100 == len(parser.close().urls)


def test_only_elements_of_the_protocol_are_locations() -> None:
    """Extensions and other vocabularies have elements of the same name."""
    urlset = b"""<urlset><url><image:loc>/i</image:loc><loc>/a</loc></url></urlset>"""
    rss = b"""<rss><channel><item><x:link>/i</x:link><link>/a</link></item></channel></rss>"""
    for body in (urlset, rss):
        assert [SitemapEntry("/a")] == parse(body).urls
        assert [] == parse(body).warnings


def test_utf_16_is_read() -> None:
    """The byte order mark says so."""
    for declared in ("UTF-16", "UTF-8", "ISO-8859-1"):
        text = URLSET.decode().replace('encoding="UTF-8"', f'encoding="{declared}"')
        for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
            assert parse(URLSET) == parse(text.encode(encoding))
    broken = parse(URLSET.decode().replace("&amp;", "&").encode("utf-16"))
    assert ["https://example.com/b"] == [entry.loc for entry in broken.urls]


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("utf8", "utf-8"),
        ("UTF-16", "utf-8"),
        ("US-ASCII", "utf-8"),
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "latin-1"),
        ("Shift_JIS", "shift_jis"),
        ("gb2312", "gb18030"),
        ("iso-2022-jp", "iso2022_jp"),
    ],
)
def test_a_file_is_read_in_the_encoding_that_is_meant(declared: str, encoding: str) -> None:
    """Also behind what is not well-formed; what declares no UTF-8 but is some is taken for that."""
    char = "é" if encoding in {"utf-8", "latin-1"} else "日"
    text = f'<?xml version="1.0" encoding="{declared}"?><urlset><url><loc>/1{char}</loc></url>'
    for rest in ("", "<url><loc>&</loc></url>"):
        body = f"{text}{rest}<url><loc>/2{char}</loc></url></urlset>".encode(encoding)
        sitemap = parse(body)
        assert [f"/1{char}", f"/2{char}"] == [entry.loc for entry in sitemap.urls]
        assert bool(rest) == bool(sitemap.warnings)


def test_pages_and_sitemaps_of_one_file_have_limits_of_their_own() -> None:
    """One sitemap takes no page's place."""
    body = b"<urlset><sitemap><loc>/s</loc></sitemap><url><loc>/1</loc></url></urlset>"
    sitemap = parse(body, max_urls=1)
    assert (["/s"], ["/1"], []) == (
        sitemap.sitemaps,
        [entry.loc for entry in sitemap.urls],
        sitemap.warnings,
    )


def test_what_comes_behind_the_limit_is_not_looked_at() -> None:
    """Packed or not, whatever it is."""
    body = b"<urlset>" + b"<url><loc>/</loc></url>" * 2 + b"<" * 200_000
    for data in (body, gzip.compress(body)):
        assert ["more than 1 URLs: the rest is left out"] == parse(data, max_urls=1).warnings


@pytest.mark.parametrize(
    ("body", "kind", "count", "warning"),
    [
        (b"", "unknown", 0, "empty"),
        (b"<html><body>no</body></html>", "unknown", 0, "'html'"),
        (b"Not found", "unknown", 0, "neither XML"),
        (b" \r\n ", "unknown", 0, "empty"),
        (b"\x00\x01\xff" * 50_000, "unknown", 0, "over 8192 characters"),
        (URLSET[:-30], "urlset", 2, "ends early"),
        (URLSET.replace(b"</priority>", b"</oops>", 1), "urlset", 1, "not well-formed"),
        (URLSET.replace(b"&amp;", b"&"), "urlset", 1, "not well-formed"),
        (URLSET.replace(b"&amp;", b"&nbsp;"), "urlset", 1, "undefined entity"),
        (URLSET.replace(b"&amp;", b"\xff"), "urlset", 1, "not well-formed"),
        (b"\n " + URLSET, "urlset", 2, "not at start"),
        (b"Warning: mysql\n" + URLSET, "urlset", 2, "not well-formed"),
        (URLSET + b"<p>trailing", "urlset", 2, "junk after document element"),
        (URLSET + URLSET, "urlset", 4, "not well-formed"),
        (
            b"<urlset><url><loc>/</loc></url></urlset><url><loc>/</loc></url>",
            "urlset",
            2,
            "junk after document element",
        ),
        (
            b'<?xml version="1.0" encoding="EUC-JP"?><urlset><url><loc>/\xff</loc></url></urlset>',
            "urlset",
            0,
            "bytes of another encoding",
        ),
        (URLSET.replace(b"UTF-8", b"x-nonsense"), "urlset", 2, "read as ISO-8859-1"),
        (b"<urlset><url" + b" " * 1_200_000, "urlset", 0, "does not end"),
        (b"<urlset><!--" + b" " * 1_200_000, "urlset", 0, "does not end"),
        (
            b"<urlset><url><loc>" + b"x" * 9000 + b"</loc></url></urlset>",
            "urlset",
            0,
            "of over 8192",
        ),
        (b"<urlset>" + b"<url><loc>/</oops></url>" * 1100, "urlset", 0, "the rest is left out"),
        pytest.param(PACKED + b"<html>", "urlset", 2, "bytes behind", id="trailing"),
        pytest.param(PACKED[:-20], "urlset", 1, "ends early", id="cut short"),
        pytest.param(
            gzip.compress(b"https://example.com/a\nhttps://example.com/bcd")[:-12],
            "text",
            1,
            "ends early",
            id="cut text",
        ),
        pytest.param(PACKED[:40] + b"\xff" * 50, "urlset", 0, "broken", id="damaged"),
        pytest.param(
            gzip.compress(b"<urlset>" + b"<url><loc>/</loc></url>" * 9 + b"</urlset>")[:-8]
            + b"12345678",
            "urlset",
            9,
            "broken",
            id="wrong sum",
        ),
        pytest.param(
            gzip.compress(b"<urlset><url><loc>/</loc></url>") + gzip.compress(b" ") * 10_000,
            "urlset",
            1,
            "more than 10000 gzip members",
            id="members",
        ),
        (
            b"<urlset>" + b"".join(b"<a%d b%d=''/>" % (n, n) for n in range(6000)),
            "urlset",
            0,
            "more than 10000 different names",
        ),
        (b"<urlset>" + b"<url>" * 100, "urlset", 0, "too deeply"),
        (b"<", "unknown", 0, "ends early"),
        (b"https://e.com/\n" + b"x\n" * 50_001, "text", 1, "more than 50000 parts are unusable"),
        (b"<urlset><loc>/</loc></urlset>", "urlset", 0, "outside of an entry is left out (<loc>)"),
        (
            b"<urlset><url><loc/><loc>/a</loc><loc>/b</loc></url></urlset>",
            "urlset",
            1,
            "a further location of an entry is left out (/b)",
        ),
        (
            b"<urlset><url><loc>/</loc><lastmod>" + b"1" * 9000 + b"</lastmod></url></urlset>",
            "urlset",
            1,
            "a lastmod of over 8192 characters is left out",
        ),
        (b"https://e.com/\xe9\nhttps://e.com/\xc3\xa9", "text", 1, "no UTF-8"),
        (
            b'<feed xml:base="http://[x"><entry><link href="/a"/></entry></feed>',
            "feed",
            0,
            "a base that can't be used is left out (/a)",
        ),
        (
            b"<!DOCTYPE u [" + b"".join(b"<!ATTLIST u a%d CDATA ''>" % n for n in range(1001)),
            "unknown",
            0,
            "declares more than 1000 attributes",
        ),
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
        (
            b'<!DOCTYPE u [<!ENTITY % a SYSTEM "http://127.0.0.1/x">%a;]><urlset><url><loc>&a;</loc>',
            "unknown",
            0,
            "entities",
        ),
        (
            b'<!DOCTYPE u SYSTEM "u.dtd"><urlset><url><loc>/&a;b</loc></url></urlset>',
            "urlset",
            1,
            "an external DTD is not read (u.dtd)",
        ),
        (
            b'<!DOCTYPE u SYSTEM "u.dtd"><urlset><url><loc>/&a;b</loc></url></urlset>',
            "urlset",
            1,
            "an entity that is not known is left out (&a;)",
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
    parser = SitemapParser(max_urls=60)
    piece = b"<url><loc>https://example.com/x</loc></url>" * 30
    assert parser.feed(b"<urlset>" + piece)
    fed = 1
    while parser.feed(piece):
        fed += 1
        assert fed < 10
    assert 2 == fed
    sitemap = parser.close()
    assert (60, 1) == (len(sitemap.urls), len(sitemap.warnings))


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
    (warning,) = parse(gzip.compress(b"<urlset>" + b" " * 2_000_000)).warnings
    assert "expands more than 300 times: the rest is left out" == warning


def test_a_text_without_an_end_is_not_held() -> None:
    """20 MB in one location."""
    tracemalloc.start()
    parser = SitemapParser()
    parser.feed(b"<urlset><url><loc>" + b" " * 1024)
    for _ in range(320):
        parser.feed(b"x" * 65_536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("value", ["nan", "inf", "-0.5", "1.5", "0,5", "0_1", ""])
def test_a_priority_out_of_range_is_none(value: str) -> None:
    """And one that is not empty is named."""
    body = f"<urlset><url><loc>/</loc><priority>{value}</priority></url></urlset>"
    sitemap = parse(body.encode())
    assert (None, bool(value)) == (sitemap.urls[0].priority, bool(sitemap.warnings))


def test_a_text_may_be_utf_16() -> None:
    """Where its mark says so."""
    sitemap = parse("https://example.com/é\r\nhttps://example.com/b\r\n".encode("utf-16"))
    assert ["https://example.com/é", "https://example.com/b"] == [e.loc for e in sitemap.urls]


def test_lines_that_are_no_urls_are_counted() -> None:
    """A text with some prose is still a list."""
    sitemap = parse(b"Our pages:\nhttps://example.com/a\nhttps://example.com/b\rftp://x\n")
    assert ("text", 2) == (sitemap.kind, len(sitemap.urls))
    assert ["a line that is no URL is left out (2 times, first: Our pages:)"] == sitemap.warnings


def test_a_warning_can_be_kept_and_shown() -> None:
    """Whatever the file holds: a NUL would make its task fail."""
    (warning,) = parse(b"https://example.com/a\nb\x00\x1b[2Jc" + b"d" * 200).warnings
    assert f"a line that is no URL is left out (b\ufffd\ufffd[2Jc{'d' * 113}...)" == warning


def test_zeros_behind_gzip_are_padding() -> None:
    """Also many of them, piece by piece, and a member behind them."""
    parser = SitemapParser()
    for piece in (gzip.compress(URLSET[:99]), *[b"\x00" * 512] * 20, gzip.compress(URLSET[99:])):
        assert parser.feed(piece)
    assert parse(URLSET) == parser.close()


def test_what_was_found_can_be_taken_while_the_rest_arrives() -> None:
    """So that nothing is held until the end."""
    parser = SitemapParser()
    parser.feed(URLSET[:450] + b" " * 1000)
    first, _ = parser.take()
    assert 1 == len(first)
    parser.feed(URLSET[450:])
    assert 1 == len(parser.take()[0])
    sitemap = parser.close()
    assert ([], 2) == (sitemap.urls, sitemap.found)


def test_a_file_beyond_the_protocols_size_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line is not taken for a URL, since it may be half of one."""
    line = b"https://example.com/x\n"
    parser = SitemapParser(max_bytes=100 * len(line) + 21)
    for _ in range(101):
        parser.feed(line)
    sitemap = parser.close()
    assert (100, True) == (len(sitemap.urls), "longer than" in sitemap.warnings[0])
    assert 50 * 1024 * 1024 == sitemaps.MAX_SITEMAP_BYTES


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_raise(data: bytes, is_tail: bool) -> None:  # noqa: FBT001  # hypothesis argument
    """Random bytes, alone and behind a good beginning."""
    parse(URLSET[:200] + data if is_tail else data)
