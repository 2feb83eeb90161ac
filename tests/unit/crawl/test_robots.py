"""robots.txt: RFC 9309, line by line."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.crawl.robots import (
    MAX_ROBOTS_BYTES,
    RobotsFile,
    RobotsRules,
    RulesCache,
    decode,
    parse,
    product_token,
)
from tests.unit.crawl.robots_cases import GOOGLE, GOOGLE_ONLY, RFC, Case

AGENT = "pacewheel/0.1 (+https://bot.example/)"
TOKEN = "pacewheel"
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

# Of CPU, on a slow machine too; what is guarded against takes minutes.
CPU_MAX_S = 5.0


def rules_of(*lines: str) -> RobotsRules:
    """What these lines say to everybody."""
    return parse("\n".join(("User-agent: *", *lines)), TOKEN)


def line_for(rules: RobotsRules, path: str) -> int | None:
    """The line that decides about a path."""
    rule = rules.decide(path)
    return None if rule is None else rule.line


@pytest.mark.parametrize("case", RFC + GOOGLE, ids=range(len(RFC + GOOGLE)))
def test_what_the_rfc_and_googles_parser_say_is_what_we_say(case: Case) -> None:
    """Each fact of the public tables, read from bytes."""
    file, token, facts = case
    rules = parse(decode(file.encode(), truncated=False), token)
    assert facts == {path: rules.allows(path) for path in facts}


def test_where_the_rfc_and_googles_parser_differ_the_rfc_counts() -> None:
    """Escapes of unreserved characters are decoded; index.html is a page like any other."""
    (escaped, _, _), (index, _, _) = GOOGLE_ONLY
    assert parse(escaped, "FooBot").allows("/foo/bar/baz")
    assert not parse(index, "FooBot").allows("/allowed-slash/")


@pytest.mark.parametrize(
    ("path", "is_allowed", "line"),
    [
        ("/", True, None),
        ("/private", False, 6),
        ("/private/x?y", False, 6),
        ("/private/open/x", True, 7),
        ("/a.pdf", False, 8),
        ("/a.pdf?x", True, None),
        ("/caf%c3%a9", False, 9),
        ("/robots.txt", True, None),
    ],
)
def test_the_longest_match_of_our_group_decides_and_is_named(
    path: str, *, is_allowed: bool, line: int | None
) -> None:
    """Our own group counts, not the one for everybody; lines count from 1."""
    rules = parse(TEXT, TOKEN)
    assert (is_allowed, line) == (rules.allows(path), line_for(rules, path))


def test_other_agents_get_the_group_for_everybody() -> None:
    """Disallow: / for the rest."""
    assert not parse(TEXT, "otherbot").allows("/")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_whatever_ends_them(end: str) -> None:
    """LF, CRLF and CR; a line separator of Unicode ends none, nor does a form feed."""
    text = end.join(("# \u2028 \x0b \x0c \x85", "", "User-agent: *", "Disallow: /a", "Allow: /a"))
    rules = parse(text, TOKEN)
    assert (5, True) == (line_for(rules, "/a"), rules.allows("/a"))


def test_of_equal_rules_allow_is_named_and_else_the_first() -> None:
    """Also when one of them is written with escapes."""
    rules = rules_of("Disallow: /~a", "Allow: /%7Ea", "Allow: /~a", "Disallow: /b", "Disallow: /b")
    assert (3, 5) == (line_for(rules, "/~a"), line_for(rules, "/b"))


@pytest.mark.parametrize("pattern", ["", "nothing", "$", "?", "http://example.com/a"])
def test_a_pattern_that_is_no_path_matches_nothing(pattern: str) -> None:
    """And an empty Disallow is no rule; it begins a group all the same."""
    rules = parse(f"User-agent: {TOKEN}\nDisallow: {pattern}\nUser-agent: b\nDisallow: /", TOKEN)
    assert line_for(rules, "/a") is None


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a$b", "/a$b", True),
        ("/a$b", "/a", False),
        ("/a%24", "/a$", True),
        ("/a*$", "/abc", True),
        ("/*$", "/", True),
        ("*", "/x", True),
        ("/**b", "/ab", True),
        ("/a*b*$", "/a1b2", True),
        ("/a*b$", "/abab", True),
        ("/ab*b$", "/ab", False),
        ("/a b", "/a%20b", True),
        ("/a|b", "/a%7Cb", True),
        ("/a%7cb", "/a|b", True),
        ("/a%2Fb", "/a/b", False),
        ("/a%2fb", "/a%2Fb", True),
        ("/a%zz", "/a%zz", True),
        ("/*?u=https%3a%2F%2f", "/r?u=https://x", True),
        ("/*/out", "/r?to=/out", True),
        ("/r?a%26b", "/r?a&b", False),
    ],
)
def test_patterns(pattern: str, path: str, *, matches: bool) -> None:
    """Wildcards, the end, and which octets are the same."""
    assert matches is not rules_of(f"Disallow: {pattern}").allows(path)


def test_octets_are_counted_in_the_compared_form() -> None:
    """A character beyond ASCII has as many octets as its escapes, written as such or not."""
    rules = rules_of("Allow: /*aaaa", "Disallow: /ツ")
    assert 3 == line_for(rules, "/%E3%83%84aaaa")


_PIECE = st.sampled_from(["/", "a", "b", "*", "ab", "?", "%2F", "$"])


@given(st.lists(_PIECE, max_size=8), st.lists(_PIECE, max_size=8))
def test_patterns_match_what_a_regular_expression_of_them_does(
    pattern: list[str], path: list[str]
) -> None:
    """The naive twin: `*` is `.*`, `$` at the end is the end, all else stands for itself."""
    text = "/" + "".join(pattern)
    target = "/" + "".join(path)
    plain = text.removesuffix("$")
    naive = "".join(".*" if char == "*" else re.escape(char) for char in plain)
    naive += r"\Z" if plain != text else ""

    def as_seen(some: str) -> str:
        head, mark, query = some.partition("?")
        return head + mark + query.replace("%2F", "/") if "?" in text else some

    # A wildcard of the path never stands for itself in the pattern, so both may be compared raw.
    expected = re.match(as_seen(naive.replace(r"\?", "?")).replace("?", r"\?"), as_seen(target))
    assert (expected is None) == rules_of(f"Disallow: {text}").allows(target)


@pytest.mark.parametrize(
    "lines",
    [
        ["Disallow: /" + "*a" * 200 + "*b$"],
        ["Disallow: /" + "*a" * number + "*b$" for number in range(1, 680)],
        [f"Disallow: /*{number:x}b" for number in range(26_000)],
    ],
    ids=["one", "many", "short"],
)
def test_hostile_patterns_cost_milliseconds(lines: list[str]) -> None:
    """A matcher that backtracks takes longer than the universe for the first; these take 30 ms."""
    rules = rules_of(*lines)
    began_s = time.process_time()
    assert rules.allows("/" + "a" * 2000 + "c")
    assert time.process_time() - began_s < CPU_MAX_S


def test_a_file_beyond_ascii_costs_little() -> None:
    """500 KiB of it take as long to read as plain ones, not 36 times as long."""

    def took_s(letter: str) -> float:
        path = letter * (MAX_ROBOTS_BYTES // len(letter.encode()))
        text = f"User-agent: *\nDisallow: /{path}x\nDisallow: /ö"
        began_s = time.process_time()
        rules = parse(text, TOKEN)
        took_s = time.process_time() - began_s
        assert not rules.allows("/%C3%B6")
        return took_s

    # As many bytes; 36 times is what it was.
    assert min(took_s("é") for _ in range(5)) < 10 * min(took_s("e") for _ in range(5))


def test_many_plain_rules_cost_as_little_as_few() -> None:
    """They are looked up by their length: 19,000 of them take a microsecond, not a millisecond."""

    def took_s(count: int) -> float:
        rules = rules_of(*(f"Disallow: /products/cat-{number}/" for number in range(count)))
        began_s = time.process_time()
        for number in range(1000):
            assert not rules.allows(f"/products/cat-{number % count}/item")
        return time.process_time() - began_s

    # A thousand times is what it would be if each rule were looked at.
    assert min(took_s(19_000) for _ in range(3)) < 50 * min(took_s(19) for _ in range(3))


def test_crawl_delay_and_sitemaps_are_read() -> None:
    """Seconds with a fraction; each sitemap once; what is left out is counted."""
    rules = parse(TEXT, TOKEN)
    assert (2.5, ("https://example.com/one.xml", "/two.xml")) == (
        rules.crawl_delay_s,
        rules.sitemaps,
    )
    assert parse(TEXT, "otherbot").crawl_delay_s is None
    many = rules_of(*(f"Sitemap: /{number}" for number in range(103)))
    assert (100, 3) == (len(many.sitemaps), many.sitemaps_left_out)


def test_other_records_end_no_group() -> None:
    """RFC 9309 section 2.2.4: Crawl-delay neither, though it is of the agents named before it."""
    text = "User-agent: a\nCrawl-delay: 3\nFoo: x\nUser-agent: b\nCrawl-delay: 1\nDisallow: /"
    for token, delay_s in (("a", 3), ("b", 1)):
        rules = parse(text, token)
        assert (delay_s, False) == (rules.crawl_delay_s, rules.allows("/"))


def test_the_greatest_crawl_delay_counts() -> None:
    """Of groups that are merged."""
    assert 7 == rules_of("Crawl-delay: 2", "User-agent: *", "Crawl-delay: 7").crawl_delay_s


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon", "", "1_0", "\u0663"])
def test_a_crawl_delay_that_is_no_delay_is_ignored(value: str) -> None:
    """No value may stop the pacer."""
    assert rules_of(f"Crawl-delay: {value}", "Disallow: /x").crawl_delay_s is None


def test_an_absurd_crawl_delay_is_a_day() -> None:
    """Bounded, so that it fits everywhere."""
    assert 86_400 == rules_of("Crawl-delay: 1e18").crawl_delay_s


@pytest.mark.parametrize("name", ["Dissallow", "disalow", "DISALLAW", "disallow "])
def test_frequent_misspellings_are_followed(name: str) -> None:
    """As Google's parser does: who writes that wants it."""
    assert not parse(f"useragent: *\n{name}: /", TOKEN).allows("/")


@pytest.mark.parametrize(
    ("value", "is_ours"),
    [
        ("pacewheel/2.0", True),
        ("PACEWHEEL # us", True),
        ("pacewheel*", True),
        ("pacewheelbot", False),
        ("pace", False),
        ("*pacewheel", False),
        ("* (all)", True),
        ("pacewheel\u00e9", True),
    ],
)
def test_a_group_is_ours_if_its_token_is(value: str, *, is_ours: bool) -> None:
    """The token ends where no character of one stands; it is whole or not ours."""
    assert is_ours is not parse(f"User-agent: {value}\nDisallow: /", TOKEN).allows("/")


def test_an_empty_text_allows_everything() -> None:
    """What a 404 stands for."""
    assert parse("", TOKEN).allows("/x")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\xef\xbb", b"\xef"])
def test_a_byte_order_mark_is_no_part_of_the_first_line(mark: bytes) -> None:
    """Whole or in part, as Google's parser takes it."""
    text = decode(mark + b"User-agent: *\r\nDisallow: /", truncated=False)
    assert "User-agent: *\r\nDisallow: /" == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_where_a_mark_says_so(encoding: str) -> None:
    """RFC 9309 section 2.2.2: encoding mismatches may be bridged."""
    mark = "" if encoding == "utf-16" else "\ufeff"
    body = (mark + "User-agent: *\nDisallow: /é").encode(encoding)
    assert not parse(decode(body, truncated=False), TOKEN).allows("/%C3%A9")


def test_decode_survives_any_bytes() -> None:
    """NUL, octets that are no UTF-8; a cut body loses its last line, whatever ends lines."""
    text = decode(b"User-agent: *\r\nDisallow: /\x00a\xff\r\n", truncated=False)
    assert not parse(text, TOKEN).allows("/a%FF")
    assert "\x00" not in text
    assert "Disallow: /a\n" == decode(b"Disallow: /a\nDisallow: /", truncated=True)
    assert "Disallow: /a\r" == decode(b"Disallow: /a\rDisallow: /", truncated=True)
    assert "" == decode(b"Disallow: /", truncated=True)


@given(st.binary(max_size=300), st.text(max_size=30))
def test_no_file_and_no_path_raise(body: bytes, path: str) -> None:
    """Whatever they hold."""
    text = decode(b"User-agent: *\nDisallow: /" + body, truncated=False)
    parse(text, TOKEN).allows("/" + path)


def test_the_largest_file_is_parsed_in_a_fraction_of_a_second() -> None:
    """500 KiB of whatever is short."""
    for line in ("Disallow:/a\n", "User-agent:*\n", "Sitemap:/\n", "\n", "a"):
        text = "User-agent: *\n" + line * (MAX_ROBOTS_BYTES // len(line))
        began_s = time.process_time()
        parse(text, TOKEN)
        assert time.process_time() - began_s < CPU_MAX_S, line


def test_a_file_is_followed_for_a_day() -> None:
    """RFC 9309 section 2.4; the document gives back what it was made of."""
    file = RobotsFile("User-agent: *\n", 1000)
    assert file == RobotsFile.of_document(file.as_document())
    assert (False, True) == (file.is_expired(1000 + 86_399.9), file.is_expired(1000 + 86_400))


def test_the_product_token_is_the_name_before_the_version() -> None:
    """As RFC 9309 section 2.2.1 defines it."""
    assert "pacewheel" == product_token(AGENT)
    assert "my-bot_x" == product_token("My-Bot_x")
    assert "*" == product_token("007")


def test_the_cache_parses_a_text_once_and_stays_within_its_bounds() -> None:
    """Bounded by entries and by characters; the least recently used goes first."""
    cache = RulesCache(max_entries=2, max_chars=100)
    first = cache.rules("User-agent: a", AGENT)
    cache.rules("User-agent: b", AGENT)
    assert first is cache.rules("User-agent: a", AGENT)
    cache.rules("User-agent: a", "other")
    assert first is cache.rules("User-agent: a", AGENT)
    assert 2 == len(cache)
    cache.rules("#" * 90, AGENT)
    assert (1, 90) == (len(cache), cache._chars)
