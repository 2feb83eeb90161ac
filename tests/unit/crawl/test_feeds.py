"""Feeds as sitemaps: RSS 1.0 and 2.0, and Atom."""

from __future__ import annotations

import gzip

import pytest

from pacewheel.crawl.sitemap import parse
from pacewheel.crawl.sitemap_found import SitemapEntry

RSS = b"""<?xml version="1.0"?><rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel>
<title>t</title><link>https://example.com/</link><image><url>/logo.png</url></image>
<atom:link rel="self" href="https://example.com/r"/>
<item><title>a</title><link>https://example.com/a</link><guid>https://example.com/guid</guid>
<pubDate>Mon, 05 Jan 2026 10:00:00 GMT</pubDate><atom:link href="https://example.com/no"/></item>
<item><guid>https://example.com/b</guid></item><item><guid isPermaLink="false">https://x/</guid></item>
</channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><link href="https://example.com/"/>
<entry><link rel="self" href="/self"/><link href="/a"/><link rel="alternate" href="/other"/>
<updated>2026-01-02T00:00:00Z</updated><published>2026-01-01T00:00:00Z</published></entry>
<entry><link rel="alternate" href="/b"/><published>2026-01-03T00:00:00Z</published></entry>
<entry><link rel="enclosure" href="/c.mp3"/></entry></feed>"""
RDF = b"""<rdf:RDF xmlns:rdf="x" xmlns:dc="y"><channel><link>/</link></channel>
<item rdf:about="/a"><link>/a</link><dc:date>2026-01-01</dc:date></item></rdf:RDF>"""


@pytest.mark.parametrize(
    ("body", "urls", "warnings"),
    [
        (
            RSS,
            [
                SitemapEntry("https://example.com/a", "Mon, 05 Jan 2026 10:00:00 GMT"),
                SitemapEntry("https://example.com/b"),
            ],
            1,
        ),
        (
            ATOM,
            [
                SitemapEntry("/a", "2026-01-02T00:00:00Z"),
                SitemapEntry("/b", "2026-01-03T00:00:00Z"),
            ],
            2,
        ),
        (RDF, [SitemapEntry("/a", "2026-01-01")], 0),
    ],
    ids=["rss", "atom", "rdf"],
)
def test_a_feed_gives_its_entries(body: bytes, urls: list[SitemapEntry], warnings: int) -> None:
    """The page of each, neither the feed itself nor what hangs on it; its date is the lastmod."""
    for data in (body, gzip.compress(body), body.decode().encode("utf-16")):
        sitemap = parse(data)
        assert ("feed", urls, warnings) == (sitemap.kind, sitemap.urls, len(sitemap.warnings))


def test_links_of_a_feed_resolve_against_its_xml_base() -> None:
    """The nearest, itself resolved against those around it; also behind what is not well-formed."""
    body = b"""<feed xml:base="https://h.example/f/"><entry><link href="a"/></entry>
      <entry xml:base="d/"><link href="b"/></entry><entry>&nbsp;</entry>
      <entry><link href="c"/></entry>
      <entry xml:base="/r/"><link href="https://o.example#"/></entry><entry><link href="/e"/></entry>
      </feed>"""
    assert [
        "https://h.example/f/a",
        "https://h.example/f/d/b",
        "https://h.example/f/c",
        "https://o.example#",
        "https://h.example/e",
    ] == [entry.loc for entry in parse(body).urls]
    relative = b'<feed xml:base="/f/"><entry><link href="a"/></entry></feed>'
    assert ["/f/a"] == [entry.loc for entry in parse(relative).urls]
