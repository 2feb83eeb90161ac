"""URLs: parsing, canonical keys, pacing authorities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.crawl import urls
from pacewheel.errors import TargetRefused


@pytest.mark.parametrize(
    ("url", "base", "href"),
    [
        ("https://example.com", None, "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/a/../b", None, "https://example.com/b"),
        ("?x", "https://example.com/a/b?y", "https://example.com/a/b?x"),
        ("//other.example/x", "https://example.com/", "https://other.example/x"),
        ("c:d", "https://example.com/a/", None),
        ("\\a\\b", "http://example.com/", "http://example.com/a/b"),
        ("http://münchen.example/ü?ü", None, "http://xn--mnchen-3ya.example/%C3%BC?%C3%BC"),
        ("http://2130706433/", None, "http://127.0.0.1/"),
        ("http://0x7f.1/", None, "http://127.0.0.1/"),
        ("http://017700000001/", None, "http://127.0.0.1/"),
        ("http://[0:0::1]:80/", None, "http://[::1]/"),
        ("http://[::ffff:127.0.0.1]/", None, "http://[::ffff:7f00:1]/"),
        ("/%2e%2E/a", "http://example.com/x/y", "http://example.com/a"),
        ("http:a", "http://example.com/x/y", "http://example.com/x/a"),
    ],
)
def test_urls_are_parsed_as_the_url_standard_says(
    url: str, base: str | None, href: str | None
) -> None:
    """Browsers and we request the same; None means refused."""
    if href is None:
        with pytest.raises(TargetRefused):
            urls.parse(url, base)
    else:
        assert href == urls.parse(url, base).href


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com/a#f", "http://example.com/a"),
        ("http://example.com:80", "http://example.com/"),
        ("http://example.com:8080/", "http://example.com:8080/"),
        ("http://example.com/%7euser/%2f%3F", "http://example.com/~user/%2F%3F"),
        ("http://example.com/?a=%41&b=%c3%bc", "http://example.com/?a=A&b=%C3%BC"),
        ("http://example.com/a//b/", "http://example.com/a//b/"),
        ("http://example.com/?", "http://example.com/?"),
        ("http://example.com/?b&a", "http://example.com/?b&a"),
        ("http://example.com/A", "http://example.com/A"),
        ("http://example.com/%%37E", "http://example.com/%%37E"),
        ("http://example.com/%zz%2f", "http://example.com/%zz%2F"),
    ],
)
def test_keys_fold_what_rfc_3986_folds_and_nothing_else(url: str, expected: str) -> None:
    """Fragment, default port, escapes of unreserved characters, their case; order and case stay."""
    assert expected == urls.key(url)


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=40))
def test_keys_are_keys_of_themselves(path: str) -> None:
    """A key of a key is the key, whatever the path."""
    key = urls.key(urls.parse("http://example.com/" + path.lstrip("/\\\t\r\n")).href)
    assert key == urls.key(key)


@given(st.text(max_size=60), st.none() | st.just("http://example.com/a/b?c"))
def test_any_text_is_parsed_or_refused_in_one_line(text: str, base: str | None) -> None:
    """No other exception, no line break in the message."""
    try:
        url = urls.parse(text, base)
    except TargetRefused as refused:
        lines = str(refused).splitlines()
    else:
        lines = [url.href]
        assert url.href == urls.parse(url.href).href
        assert url.href.startswith((f"{url.scheme}://{url.host}/", f"{url.scheme}://{url.host}:"))
        assert url.target.startswith("/")
    assert 1 == len(lines)


@pytest.mark.parametrize(
    "url",
    [
        "http://a:s3cret@h/",
        "http:a:s3cret@h/",
        "http:/a:s3cret@h/",
        "http:\\\\a:s3cret@h/",
        "ht\ntp:/\n/a:s3cret@h/",
        " //a:s3cret@h/",
        "https://a:s3cret@no host/",
        "a:s3cret@h",
        "ftp://h/?http://a:s3cret@h/",
        pytest.param("http://" + " " * 100_000 + ":s3cret@h", id="long"),
    ],
)
def test_no_message_shows_a_password(url: str) -> None:
    """However it is written, as far as a URL's parser goes along; and in linear time."""
    with pytest.raises(TargetRefused) as refused:
        urls.parse(url)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://Example.COM/x", "example.com"),
        ("http://example.com:443/", "example.com:443"),
        ("https://example.com:443/", "example.com"),
        ("https://example.com.:8443/", "example.com:8443"),
        ("http://[::1]/", "[::1]"),
        ("http://[::1]:8080/", "[::1]:8080"),
        ("http://0x7f.1:81/", "127.0.0.1:81"),
    ],
)
def test_authority_is_host_and_unusual_port(url: str, authority: str) -> None:
    """What pacing is keyed by."""
    assert authority == urls.authority(url)
    assert urls.same_site(urls.parse(url), authority)


def test_same_site_needs_the_same_host_and_port() -> None:
    """Both schemes of a host are one site; sub-domains and other ports are not."""
    assert urls.same_site(urls.parse("http://example.com/"), "example.com")
    assert urls.same_site(urls.parse("https://example.com/"), "example.com")
    assert not urls.same_site(urls.parse("https://www.example.com/"), "example.com")
    assert not urls.same_site(urls.parse("https://example.com:8443/"), "example.com")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "empty"),
        ("example.com", "no scheme: write it as https://"),
        ("example.com:8080/x", "no scheme: write it as https://"),
        ("ftp://example.com/", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("javascript:alert(1)", "scheme 'javascript'"),
        ("http://user:secret@example.com/", "credentials"),
        ("http://", "malformed"),
        ("http://exa mple.com/", "malformed"),
        ("http://example.com:99999/", "malformed"),
        ("http://1.2.3.4.5/", "malformed"),
        ("http://[fe80::1%25eth0]/", "malformed"),
        ("http://example.com/" + "a" * 9000, "longer than"),
        ("http://example.com/" + "ü" * 3000, "longer than"),
        ("http://a\ud800/", "malformed"),
    ],
)
def test_what_is_not_requested_is_refused_with_a_reason(url: str, message: str) -> None:
    """The command line prints these messages as they are."""
    with pytest.raises(TargetRefused, match=message) as refused:
        urls.parse(url)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_origin_and_path_are_parts_of_the_url() -> None:
    """Without query and fragment."""
    url = urls.parse("https://example.com:8443/a/b?c#d")
    assert ("https://example.com:8443", "/a/b", "/a/b?c") == (url.origin, url.path, url.target)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("http://e/a", "http://e/a"),
        ("http://e/a?", "http://e/a?"),
        ("http://e/a?utm_source=x&b=1&UTM_Medium=y&gclid=z", "http://e/a?b=1"),
        ("http://e/a?fbclid=1&utm_campaign", "http://e/a"),
        ("http://e/a?ref=1&utm=2&xgclid=3", "http://e/a?ref=1&utm=2&xgclid=3"),
        ("http://e/a?x=utm_source=1", "http://e/a?x=utm_source=1"),
    ],
)
def test_tracking_parameters_can_be_dropped_from_a_key(key: str, expected: str) -> None:
    """By name, in any case; what means something to a page stays."""
    assert expected == urls.folded(key, drop_tracking=True)
    assert key == urls.folded(key)


def test_the_parameters_of_a_key_can_be_sorted() -> None:
    """By name; the order of one name's values means something."""
    key = "http://e/a?b=2&a=2&a=1&b=1"
    assert "http://e/a?a=2&a=1&b=2&b=1" == urls.folded(key, sort_query=True)
    assert "http://e/a?a&b=&c" == urls.folded(
        "http://e/a?c&b=&a&gclid=1", drop_tracking=True, sort_query=True
    )


@pytest.mark.parametrize(
    ("url", "site", "subdomains", "www"),
    [
        ("https://www.e.com/", "e.com", False, True),
        ("https://e.com/", "www.e.com", False, True),
        ("https://www.e.com:81/", "e.com:81", False, True),
        ("https://www.e.com./", "e.com", False, True),
        ("https://shop.e.com/", "e.com", True, False),
        ("https://www.e.com/", "e.com", True, False),
        ("https://a.b.e.com/", "e.com", True, False),
        ("https://shop.e.com/", "www.e.com", True, True),
        ("http://shop.e.com/", "e.com", True, False),
    ],
)
def test_a_site_may_have_other_hosts(url: str, site: str, *, subdomains: bool, www: bool) -> None:
    """With and without `www.`, and below the site's host; only where the job says so."""
    parsed = urls.parse(url)
    assert urls.same_site(parsed, site, subdomains=subdomains, www=www)
    assert not urls.same_site(parsed, site)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://e.com/", "shop.e.com"),
        ("https://note.com/", "e.com"),
        ("https://shop.e.com:81/", "e.com"),
        ("https://www.shop.e.com/", "www.e.com"),
        ("https://e.com.evil.example/", "e.com"),
    ],
)
def test_other_sites_are_other_sites(url: str, site: str) -> None:
    """Whatever is opened: a parent, a name that only ends alike, another port."""
    parsed = urls.parse(url)
    assert not urls.same_site(parsed, site, subdomains=True)
    assert not urls.same_site(parsed, site, www=True)


PIECES = ["/", "/", "a", "b-1", ".", "..", "~x", "?", "?q=1", "&", "#", "#top", "%41", "%", ":", ";",
          "//", "\\", " ", "é", "'", "https://e.com", "https://e.com:443", "http:", "e.com:81", "@", "\t"]  # fmt: skip
BASES = ["https://e.com/x/y?z", "http://e.com:81/", "https://e.com", "https://u@e.com/x", "data:,x"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.sampled_from(BASES))
def test_plain_references_resolve_as_the_parser_resolves_them(reference: str, base: str) -> None:
    """The short cut has the parser for its oracle."""
    plain = urls._plain(reference, base)
    if plain is not None:
        url = urls.parse(urls._resolved(reference, base))
        assert (url.href, url.scheme, url.hostport, url.target) == (
            plain.href, plain.scheme, plain.hostport, plain.target,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "is_plain"),
    [
        ("/a/b-1.html?c=d&e=f#g", True),
        ("https://e.com/a", True),
        ("/", True),
        ("/a/../b", False),
        ("/.a", False),
        ("//e.com/", False),
        ("https://e.com", False),
        ("https://e.com.evil.example/", False),
        ("https://e.com@evil.example/", False),
        ("?q", False),
        ("#x", False),
        ("a", False),
        ("/%41", False),
        ("/a b", False),
        ("", False),
    ],
)
def test_the_short_cut_is_for_plain_references(reference: str, *, is_plain: bool) -> None:
    """It is taken at all, and where it must not be it is not."""
    assert is_plain == (urls._plain(reference, "https://e.com/x/y") is not None)
