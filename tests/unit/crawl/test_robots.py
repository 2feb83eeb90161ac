"""robots.txt: rules, Crawl-delay, sitemaps, the cache."""

from __future__ import annotations

import pytest

from pacewheel.crawl.robots import RobotsRules, RulesCache, decode, product_token

AGENT = "pacewheel/0.1 (+https://bot.example/)"
TEXT = """
# a comment
User-agent: *
Disallow: /
User-agent: PaceWheel
Disallow: /private
Allow: /private/open
Disallow: /*.pdf$
Disallow: /caf%C3%A9
Crawl-delay: 2.5

Sitemap: https://example.com/one.xml
Sitemap: https://example.com/one.xml
Sitemap: /two.xml
"""


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [
        ("/", True),
        ("/private", False),
        ("/private/x?y", False),
        ("/private/open/x", True),
        ("/a.pdf", False),
        ("/a.pdf?x", True),
        ("/caf%c3%a9", False),
        ("/robots.txt", True),
    ],
)
def test_the_longest_match_of_our_group_decides(path: str, *, is_allowed: bool) -> None:
    """Our own group counts, not the one for everybody."""
    rules = RobotsRules.parse(TEXT)
    assert is_allowed == rules.allowed("https://example.com" + path, AGENT)


def test_other_agents_get_the_group_for_everybody() -> None:
    """Disallow: / for the rest."""
    assert not RobotsRules.parse(TEXT).allowed("https://example.com/", "otherbot/1.0")


def test_crawl_delay_and_sitemaps_are_read() -> None:
    """Seconds with a fraction; each sitemap once."""
    rules = RobotsRules.parse(TEXT)
    assert 2.5 == rules.crawl_delay_s(AGENT)
    assert ["https://example.com/one.xml", "/two.xml"] == rules.sitemaps
    assert rules.crawl_delay_s("otherbot") is None


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon", ""])
def test_a_crawl_delay_that_is_no_delay_is_ignored(value: str) -> None:
    """No value may stop the pacer."""
    rules = RobotsRules.parse(f"User-agent: *\nCrawl-delay: {value}\nDisallow: /x")
    assert rules.crawl_delay_s(AGENT) is None


def test_an_absurd_crawl_delay_is_a_day() -> None:
    """Bounded, so that it fits everywhere."""
    assert 86_400 == RobotsRules.parse("User-agent: *\nCrawl-delay: 1e18").crawl_delay_s(AGENT)


def test_an_empty_text_allows_everything() -> None:
    """What a 404 stands for."""
    assert RobotsRules.parse("").allowed("https://example.com/x", AGENT)


def test_decode_survives_any_bytes() -> None:
    """BOM, CRLF, NUL, broken UTF-8; a cut body loses its last line."""
    text = decode(b"\xef\xbb\xbfUser-agent: *\r\nDisallow: /\x00a\xff\r\n", truncated=False)
    assert not RobotsRules.parse(text).allowed("https://example.com/a%EF%BF%BD", AGENT)
    assert "\x00" not in text
    assert "Disallow: /a\n" == decode(b"Disallow: /a\nDisallow: /", truncated=True)


def test_the_product_token_is_the_name_before_the_version() -> None:
    """As RFC 9309 section 2.2.1 defines it."""
    assert "pacewheel" == product_token(AGENT)
    assert "my-bot_x" == product_token("My-Bot_x")
    assert "*" == product_token("007")


def test_the_cache_parses_a_text_once_and_stays_within_its_bounds() -> None:
    """Bounded by entries and by characters; the least recently used goes first."""
    cache = RulesCache(max_entries=2, max_chars=100)
    first = cache.rules("User-agent: a")
    cache.rules("User-agent: b")
    assert first is cache.rules("User-agent: a")
    cache.rules("User-agent: c")
    assert first is cache.rules("User-agent: a")
    assert 2 == len(cache)
    cache.rules("#" * 90)
    assert (1, 90) == (len(cache), cache._chars)
