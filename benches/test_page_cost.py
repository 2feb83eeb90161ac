"""What a page costs after its body has come: a profile by stage, and the whole against the parse.

One page of 70 KB with 350 links of the forms that pages have, half of them in cards. The parse
alone is the baseline: it is a library's, and whatever reads a page has to pay it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from pacewheel.crawl import html_guard, landmarks, links, robots, traps, urls
from pacewheel.crawl.discovery import Discovery
from pacewheel.crawl.links import PageLinks
from pacewheel.crawl.options import read
from pacewheel.crawl.query_counts import QueryCounts
from pacewheel.model import Task

PAGE = urls.parse("https://example.com/guides/page?q=1")
LINKS = 350
BYTES = 70_000
ROUNDS = 40
ROBOTS = "\n".join(
    [
        "User-agent: *",
        *(f"Disallow: /private-{number}/" for number in range(20)),
        *("Disallow: /*?sort=", "Allow: /private-1/open", "Disallow: /*.cgi$"),
    ]
)
OPTIONS: dict[str, Any] = {"exclude": ["*.pdf"]}

Budget = Callable[[str, float], None]


def href(number: int) -> str:
    """Every fifth link goes elsewhere; the others are written in four ways."""
    forms = (
        f"/section-{number % 12}/article-{number}.html",
        f"/products/{number}?colour=red&size={number % 7}",
        f"../tags/tag-{number}",
        f"https://example.com/a/{number}#comments",
        f"https://other-{number % 9}.example/x/{number}",
    )
    return forms[number % 5]


def html() -> str:
    """The page: 40 links in the header's nav, 30 in the footer, the rest in cards and lists."""
    anchors = [
        f'<a class="link" href="{href(number)}">Title {number}</a>' for number in range(LINKS)
    ]
    nav = "".join(f'<li class="item">{anchor}</li>' for anchor in anchors[:40])
    cards = "".join(
        f'<article class="card"><h2>{anchor}</h2><p>Some <b>words</b> of it.</p></article>'
        for anchor in anchors[40:180]
    )
    lists = "".join(f"<li><span>{anchor}</span></li>" for anchor in anchors[180:320])
    foot = "".join(f"<li>{anchor}</li>" for anchor in anchors[320:])
    head = (
        '<!doctype html><html><head><meta charset="utf-8"><link rel="canonical" href="/c"></head>'
    )
    start = f'{head}<body><header><nav><ul>{nav}</ul></nav></header><main><div class="grid">{cards}</div>'
    end = f"</p><ul>{lists}</ul></main><footer><ul>{foot}</ul></footer></body></html>"
    text = "Words of a text that somebody wrote. " * (BYTES // 37)
    return f"{start}<p>{text[: BYTES - len(start) - len('<p>') - len(end)]}{end}"


class Cost:
    """The best time of each stage in microseconds, taken by turns."""

    def __init__(self, stages: dict[str, Callable[[], Any]]) -> None:
        self.us = dict.fromkeys(stages, float("inf"))
        for _ in range(ROUNDS):
            for name, stage in stages.items():
                began = time.perf_counter_ns()
                stage()
                self.us[name] = min(self.us[name], (time.perf_counter_ns() - began) / 1000)


def discovered(page: PageLinks, rules: robots.RobotsRules) -> Discovery:
    """Filter the links of the page and make its tasks."""
    task = Task(1, 1, 1, "example.com", "warm", PAGE.href, 1.0, 1, {}, {})
    discovery = Discovery(task, read(OPTIONS), rules)
    discovery.count_queries(QueryCounts(1000))
    adding = discovery.add_links(page.links, 0, is_start_page=False)
    # Runs to its end in one go, but for turns of the loop: a loop of its own would cost more.
    while True:
        try:
            adding.send(None)
        except StopIteration:
            return discovery


@pytest.mark.usefixtures("gc_off")
def test_what_a_page_costs(budget: Budget) -> None:
    """Extraction, normalisation, robots and the seen-filter, each alone and all together."""
    text = html()
    assert BYTES == len(text)
    page = links.extract(text, PAGE)
    assert LINKS == len(page.links)
    rules = robots.parse(ROBOTS, "pacewheel")
    assert 280 == len(discovered(page, rules).tasks)
    tree = LexborHTMLParser(text)
    nodes = tree.css("a[href],area[href]")
    hrefs = [node.attributes["href"] or "" for node in nodes]
    found = [link.url for link in page.links]
    ours = [url for url in found if url.authority == "example.com"]

    def places() -> None:
        finder = landmarks.Places(tree)
        for node in nodes:
            finder.of(node)

    cost = Cost(
        {
            "guard": lambda: html_guard.bounded(text),
            "parse": lambda: LexborHTMLParser(text),
            "find links": lambda: [node.attributes for node in tree.css("a[href],area[href]")],
            "positions": places,
            "resolve": lambda: [urls.parse(each, PAGE.href) for each in hrefs],
            "keys": lambda: [url.key for url in found],
            "extract, whole": lambda: links.extract(text, PAGE),
            "traps": lambda: [traps.trap_reason(url) for url in ours],
            "robots": lambda: [rules.allows(url.target) for url in ours],
            "discover, whole": lambda: discovered(page, rules),
        }
    ).us
    whole_us = cost["extract, whole"] + cost["discover, whole"]
    print(f"\na page of {BYTES} bytes with {LINKS} links: {whole_us:.0f} us")
    for name, us in cost.items():
        print(f"  {name:<16} {us:7.0f} us  {us / whole_us:5.1%}  {us / cost['parse']:5.2f} x parse")
    budget("page: extraction and discovery", whole_us)
    budget("page: extraction and discovery over the parse", whole_us / cost["parse"])
    budget("page: discovery over the parse", cost["discover, whole"] / cost["parse"])
