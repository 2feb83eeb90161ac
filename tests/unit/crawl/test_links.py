"""Links: where they lead, where they stand, and pages that would blow up a parser."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.crawl import urls
from pacewheel.crawl.html_guard import MAX_HTML_CHARS, bounded
from pacewheel.crawl.links import extract, extract_all
from pacewheel.crawl.traps import trap_reason

PAGE = urls.parse("https://example.com/dir/page?q=1")


def hrefs(html: str) -> list[str]:
    """The links of a page as text."""
    return [link.url.href for link in extract(html, PAGE).links]


def test_only_a_and_area_are_links_and_only_http() -> None:
    """Not img, link, srcset, javascript:, mailto:, tel:, data:, fragments or empty anchors."""
    html = """
      <a href="a">1</a><area href="/b"><img src=x srcset="y 2x"><link href=z rel=next>
      <a href="javascript:x()">j</a><a href=" JavaScript:x()">j</a><a href="mailto:a@b">m</a>
      <a href="tel:1">t</a><a href="data:,x">d</a><a href="#top">f</a><a name=x>n</a>
      <a href="java\nscript:x()">j</a><a href="\x01 mailto:x">m</a>
      <a href="ftp://example.com/">f</a><a href="http://u:p@example.com/">c</a>
      <script>"<a href=/never>"</script><!-- <a href=/never> --><template><a href=/never></template>
    """
    assert ["https://example.com/dir/a", "https://example.com/b"] == hrefs(html)
    assert 3 == extract(html, PAGE).refused


def test_references_resolve_against_the_base_element() -> None:
    """The first base with an href; a useless one is ignored."""
    assert ["https://cdn.example/x/a"] == hrefs('<base href="//cdn.example/x/"><a href=a>')
    assert ["https://example.com/up/a"] == hrefs('<base href="/up/"><base href="/no/"><a href=a>')
    assert ["https://example.com/dir/a"] == hrefs('<base href="data:,x"><a href=a>')
    assert ["https://example.com/dir/page?x"] == hrefs("<a href='?x'>")


def test_a_base_of_another_scheme_makes_references_no_links() -> None:
    """As in a browser, where they lead there; absolute links stay links."""
    html = '<a href="/a"></a><a href="http://b.example/"></a>'
    assert ["http://b.example/"] == hrefs('<base href="ftp://example.com/">' + html)
    assert ["http://b.example/"] == hrefs('<base href="mailto:a@b">' + html)


def test_a_link_of_svg_may_have_its_old_attribute() -> None:
    """Which is not taken for an empty `href`, a link to the page itself."""
    svg = "<svg><a xlink:href=x></a><a xlink:href=y href=z></a><a xlink:href></a></svg>"
    found = [link.url.href for link in extract_all(svg, PAGE).links]
    assert [*(f"https://example.com/dir/{at}" for at in "xz"), PAGE.href] == found


def test_each_canonical_key_comes_once_in_document_order() -> None:
    """The first spelling is the one requested; a no-break space is none to a browser."""
    html = "<a href='/b%7E'><a href='/a'><a href='/b~#x'><a href='/a#y'><a href='/a'>"
    assert ["https://example.com/b%7E", "https://example.com/a"] == hrefs(html)
    assert ["https://example.com/dir/%C2%A0a"] == hrefs("<a href='\xa0a'>")


def test_of_several_links_to_one_page_the_one_that_counts_most_stands() -> None:
    """Followed before nofollow, then header, then footer, then the first."""
    html = """<main><a href=/a rel=nofollow></a><a href=/b></a><a href=/c></a><a href=/d rel=me></a>
      </main><footer><a href=/b></a><a href=/a rel=nofollow></a></footer>
      <aside><a href=/a rel=x></a></aside>
      <header><nav><a href=/c></a></nav></header><a href=/d></a>"""
    found = [(link.url.path, link.position, link.rel) for link in extract(html, PAGE).links]
    assert [
        ("/a", "body", "x"),
        ("/b", "footer", None),
        ("/c", "nav", None),
        ("/d", "main", "me"),
    ] == found


def test_all_links_are_there_with_their_repetitions_for_who_asks() -> None:
    """Those within the page too."""
    html = "<a href=/a></a><nav><a href=/a></a></nav><a href='#top'></a><a href=''></a>"
    assert [
        ("https://example.com/a", "body"),
        ("https://example.com/a", "nav"),
        ("https://example.com/dir/page?q=1#top", "body"),
        ("https://example.com/dir/page?q=1", "body"),
    ] == [(link.url.href, link.position) for link in extract_all(html, PAGE).links]


@pytest.mark.parametrize(
    ("html", "position", "region"),
    [
        ("<a href=x>", "body", None),
        ("<header><a href=x></header>", "header", "header"),
        ("<header><nav><ul><li><a href=x></nav></header>", "nav", "header"),
        ("<nav><a href=x></nav>", "nav", None),
        ("<main><div><a href=x></div></main>", "main", None),
        ("<footer><p><a href=x></p></footer>", "footer", "footer"),
        ("<article><header><a href=x></header></article>", "body", None),
        ("<main><section><footer><a href=x></footer></section></main>", "main", None),
        ("<nav><header><a href=x></header></nav>", "nav", None),
        ("<div role=banner><a href=x></div>", "header", "header"),
        ("<div role=' Navigation x'><a href=x></div>", "nav", None),
        ("<div role=contentinfo><a href=x></div>", "footer", "footer"),
        ("<nav role=presentation><a href=x></nav>", "body", None),
        ("<nav role=nonsense><a href=x></nav>", "nav", None),
        ("<div role='nonsense navigation main'><a href=x></div>", "nav", None),
        ("<div role=main><header><a href=x></header></div>", "main", None),
        ("<div role=region><footer><a href=x></footer></div>", "body", None),
        ("<aside><header><a href=x></header></aside>", "body", None),
        ("<article><div role=list><header><a href=x></header></div></article>", "body", None),
        ("<article><div role=banner><a href=x></div></article>", "header", "header"),
        ("<header><section><a href=x></section></header>", "header", "header"),
        ("<map><area href=x></map>", "body", None),
        ("<footer role=main><a href=x></footer>", "main", None),
    ],
)
def test_the_position_is_the_nearest_landmark(html: str, position: str, region: str | None) -> None:
    """By element or role; sectioned headers and footers are not the page's."""
    link = extract(html, PAGE).links[0]
    assert (position, region) == (link.position, link.region)


def test_nofollow_and_noindex_are_read() -> None:
    """From rel and from the robots meta element, in any case; also from the one named after us."""
    page = extract(
        '<META NAME="Robots" CONTENT="NoIndex, NOFOLLOW"><a href=a rel="ugc NoFollow"><a href=b>',
        PAGE,
    )
    assert (True, True) == (page.noindex, page.nofollow)
    assert [True, False] == [link.is_nofollow for link in page.links]
    assert extract("<meta name=robots content=none>", PAGE).nofollow
    assert not extract('<meta name=robots content="index, follow">', PAGE).nofollow
    ours = "<meta name=PaceWheel content=nofollow><meta name=googlebot content=noindex>"
    page = extract(ours, PAGE, agent="pacewheel")
    assert (False, True) == (page.noindex, page.nofollow)
    assert not extract(ours, PAGE).nofollow


def test_the_canonical_link_is_read() -> None:
    """The first; resolved against the base; useless ones are none."""
    html = '<base href=/b/><link rel="x Canonical" href=c><link rel=canonical href=/no>'
    canonical = extract(html, PAGE).canonical
    assert canonical is not None
    assert "https://example.com/b/c" == canonical.href
    assert extract("<link rel=canonical href='javascript:x'>", PAGE).canonical is None
    assert extract("<link rel=alternate href=/x>", PAGE).canonical is None


def test_a_refresh_leads_to_a_page_and_is_no_link() -> None:
    """The first that leads anywhere."""
    html = "<meta http-equiv=Refresh content='5'><meta http-equiv=refresh content='0; url=/r'>"
    html += "<meta http-equiv=refresh content='0; url=/s'>"
    page = extract(html, PAGE)
    assert page.refresh is not None
    assert ("https://example.com/r", []) == (page.refresh.href, page.links)
    assert extract("<meta http-equiv=refresh content='0;url=javascript:x'>", PAGE).refresh is None


def test_links_are_bounded_in_number() -> None:
    """And the cut is told."""
    page = extract("".join(f"<a href=/{number}>" for number in range(50)), PAGE, max_links=10)
    assert (10, "too_many_links") == (len(page.links), page.cut)
    page = extract_all("<a href=x>y</a>" * 20_001, PAGE)
    assert (20_000, "too_many_links") == (len(page.links), page.cut)


HOSTILE = {
    "nested": "<div>" * 100_000,
    "nested_and_closed": "<div>" * 100_000 + "</div>" * 100_000,
    "nested_behind_stray_ends": "<div></x>" * 100_000,
    "lists": "<ul><li>" * 50_000,
    "formatting": "<p>" + "".join(f"<font a={n}>" for n in range(5000)) + "</p>" + "<p>x" * 50_000,
    "formatting_behind_stray_ends": "<p>"
    + "".join(f"<font a={n}></b>" for n in range(500))
    + "</p>"
    + "<p>x</p>" * 50_000,
    "attributes": "<a " + " ".join(f"a{n}=1" for n in range(200_000)) + " href=x>",
    "attributes_behind_quotes": "<a x='>' "
    + " ".join(f"a{n}" for n in range(200_000))
    + " href=x>",
    "attributes_behind_brackets": "<a " + "".join(f"a{n}< " for n in range(150_000)) + " href=x>",
    "attributes_behind_a_comment": '<!-- <a x=" --><a '
    + " ".join(f"a{n}='>'" for n in range(100_000))
    + ' "href=x>',
    "attributes_in_many_tags": ("<a " + " ".join(f"a{n}" for n in range(1300)) + ">") * 250,
    "attributes_of_one_body": "".join(f"<body a{n}=b>" for n in range(40_000)),
    "attributes_of_few_bodies": "".join(
        f"<BODY {' '.join(f'a{n}_{i}' for i in range(900))}>" for n in range(40)
    ),
    "attributes_of_one_html": "".join(
        f"<html/{' '.join(f'a{n}_{i}' for i in range(900))}>" for n in range(40)
    ),
    "attributes_of_many_roots_behind_quotes": "".join(f"<HTML x='>'\ta{n}>" for n in range(90_000)),
    "roots_in_one_value": "<p x='" + "<body a='" * 200_000,
    "options": "<select>" + "<option>" * 100_000,
    "option_groups": "<optgroup>" * 60_000,
    "ruby": "<rt>" * 60_000,
    "links": "<a href=/x>y</a>" * 100_000,
    "comments": "<!--" * 400_000,
    "brackets": "<" * 2_000_000,
    "tables": "<table><tr><td>" * 50_000,
    "svg": "<svg>" + "<path>" * 200_000 + "<foreignObject>" + "<div>" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pages_cost_little(name: str) -> None:
    """Links before the blow-up are kept; without the guard these take seconds to minutes."""
    html = "<a href=/first>1</a>" + HOSTILE[name]
    started = time.process_time()
    page = extract(html, PAGE)
    assert time.process_time() - started < 10.0
    assert "https://example.com/first" == page.links[0].url.href


def test_ordinary_pages_are_not_cut() -> None:
    """Many links, icons, unclosed paragraphs and list items, comments, scripts, a long text."""
    row = (
        "<li><p>text <b>bold</b><br><img src=x><a href='/x{0}'><svg><path d='M0 0'/><use/></svg>"
        "<span class=c>link</span></a>"
    )
    html = "".join(
        f"<!--[if IE {n}]><html class='ie{n} no-js' lang=en><![endif]-->" for n in range(9)
    )
    html += "<html lang=en><body class=a>"
    html += "<main><ul>" + "".join(row.format(number) for number in range(3000)) + "</ul></main>"
    html += "<script>var a = '<div>' + b;\n" + "x = 1; y = 2;\n" * 2000 + "</script><p>"
    html += "<div data-page='" + '{"key": "value > <b>x</b>"},' * 5000 + "'></div><p>"
    html += "a sentence with words " * 2000
    page = extract(html, PAGE)
    assert (3000, None) == (len(page.links), page.cut)


def test_links_that_are_not_closed_end_each_other() -> None:
    """So they nest in no tree, however many they are."""
    html = "".join(f"<p><a href=/{number}>x" for number in range(3000))
    page = extract(html, PAGE)
    assert (3000, None) == (len(page.links), page.cut)


def test_a_page_is_looked_at_up_to_a_length() -> None:
    """Two million characters."""
    text, reason = bounded("x" * (MAX_HTML_CHARS + 1))
    assert (MAX_HTML_CHARS, "too_long") == (len(text), reason)


@given(st.text(max_size=300))
def test_any_text_is_a_page(html: str) -> None:
    """Nothing raises."""
    extract(html + "<a href=x>" + html, PAGE)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/a/b/c", None),
        ("/2026/01/01/title", None),
        ("/a/a/b", None),
        ("/a/a/a/a", "repetition"),
        ("/x/a/b/a/b/a/b/y", "repetition"),
        ("/a/b/c/a/b/c/a/b/c", "repetition"),
        ("/" + "/".join(map(str, range(30))), "depth"),
        ("/?" + "x" * 2500, "length"),
        ("/?" + "x=1&" * 40, "parameters"),
    ],
)
def test_traps_are_named(target: str, reason: str | None) -> None:
    """Lesson 3."""
    assert reason == trap_reason(urls.parse("https://example.com" + target))
