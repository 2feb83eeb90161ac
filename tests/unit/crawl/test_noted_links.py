"""What a page, a sitemap and a redirect leave for the report: who names which page, and where."""

from __future__ import annotations

from tests.unit.crawl.test_warm import HOME, response, run

PAGE = """
<header><a href="/top">a</a><a href="https://other.example/">b</a></header>
<nav><a href="/n1#part">c</a><a href="/top">again</a></nav>
<main><a href="/m" rel="nofollow">d</a><a href="/secret">e</a><a href="/here">itself</a></main>
"""


async def test_a_page_names_the_pages_of_its_site_by_position() -> None:
    """Each once, where it stands first; followed or not, forbidden or not; never itself."""
    outcome, _ = await run(
        response(body=PAGE), target=HOME + "here", robots="User-agent: *\nDisallow: /secret"
    )
    assert {
        "header": [HOME + "top"],
        "nav": [HOME + "n1"],
        "main": [HOME + "m", HOME + "secret"],
    } == outcome.links


async def test_a_page_that_asks_not_to_be_followed_has_links_all_the_same() -> None:
    """Nothing is discovered, and a broken page it links to can be told of."""
    outcome, _ = await run(
        response(body='<meta name="robots" content="nofollow"><a href="/x">x</a>'), target=HOME
    )
    assert [] == outcome.discovered
    assert {"body": [HOME + "x"]} == outcome.links


async def test_a_sitemap_names_its_pages() -> None:
    """Those of the site, whatever filters keep out."""
    body = "\n".join((HOME + "a", HOME + "b", "https://other.example/c", HOME + "a"))
    outcome, _ = await run(
        response(body=body, content_type="text/plain"),
        "sitemap",
        HOME + "sitemap.txt",
        options={"exclude": ["/b"]},
    )
    assert {"sitemap": [HOME + "a", HOME + "b"]} == outcome.links


async def test_a_redirect_names_where_it_leads() -> None:
    """Within the site only."""
    outcome, _ = await run(response(301, Location="/new"), target=HOME + "old")
    assert {"redirect": [HOME + "new"]} == outcome.links
    outcome, _ = await run(response(301, Location="https://other.example/"), target=HOME + "old")
    assert {} == outcome.links


async def test_nothing_is_noted_where_it_is_not_wanted() -> None:
    """The option record_links, off."""
    off = {"record_links": False}
    outcome, _ = await run(response(body=PAGE), target=HOME, options=off)
    assert {} == outcome.links
    outcome, _ = await run(response(301, Location="/new"), target=HOME + "old", options=off)
    assert {} == outcome.links
