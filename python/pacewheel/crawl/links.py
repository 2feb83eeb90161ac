"""Links of a page: absolute, once each, with their place on the page.

Owns which links a page gives: `href` of `a` and `area` only, resolved as browsers do (base href
included), http(s) only, each canonical key once. Of several links to one page the one that counts
most stands for all: one that may be followed before one that may not, then one in the page's
header, then one in its footer, then the first. Also what else a page says of itself: canonical,
robots directives (`directives`), refresh. Bounded: 5,000 different links a page, and see
`html_guard`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ada_url
from selectolax.lexbor import LexborHTMLParser

from pacewheel.crawl import urls
from pacewheel.crawl.directives import Directives, refresh_target
from pacewheel.crawl.html_guard import bounded
from pacewheel.crawl.landmarks import Places
from pacewheel.errors import TargetRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pacewheel.crawl.urls import Url

    Resolve = Callable[[str, str], Url]

MAX_LINKS = 5_000
MAX_LINKS_WITH_REPETITIONS = 20_000

# What needs no parsing to be known as no link to a page; browsers strip what stands before it.
_SCHEMES_SKIPPED = ("javascript:", "mailto:", "tel:", "data:")
_STRIPPED = "".join(map(chr, range(0x21)))
# How much a link counts, by the region it stands in.
_REGION_RANKS = {"header": 2, "footer": 1, None: 0}


@dataclass(slots=True)
class Link:
    """One link. `position`: header, nav, main, body, footer; `region`: header, footer, None."""

    url: Url
    position: str
    region: str | None
    rel: str | None

    @property
    def is_nofollow(self) -> bool:
        """True when `rel` asks not to follow."""
        return self.rel is not None and "nofollow" in self.rel.lower().split()


@dataclass(slots=True)
class PageLinks:
    """What a page says about itself and where it leads.

    `canonical` is the URL the page says it should be known by, `refresh` the one a meta refresh
    leads to; None without any, or if it can't be requested. `refused` counts links that are not
    requestable URLs; `cut` says why the page or its links were cut.
    """

    links: list[Link] = field(default_factory=list)
    directives: Directives = field(default_factory=Directives)
    canonical: Url | None = None
    refresh: Url | None = None
    refused: int = 0
    cut: str | None = None

    @property
    def noindex(self) -> bool:
        """True when the page asks not to be indexed."""
        return self.directives.noindex

    @property
    def nofollow(self) -> bool:
        """True when the page asks not to follow its links."""
        return self.directives.nofollow


def extract(
    html: str, page_url: Url, *, agent: str | None = None, max_links: int = MAX_LINKS
) -> PageLinks:
    """Return the links of `html`, the text of the page at `page_url`, in document order.

    `agent` is the product token, in lower case, whose robots directives count beside everybody's.
    """
    page, found = _opened(html, page_url, agent)
    at: dict[str, int] = {}
    for link in found:
        key = link.url.key
        known = at.get(key)
        if known is not None:
            if _rank(link) > _rank(page.links[known]):
                page.links[known] = link
        elif len(page.links) >= max_links:
            page.cut = page.cut or "too_many_links"
            break
        else:
            at[key] = len(page.links)
            page.links.append(link)
    return page


def extract_all(html: str, page_url: Url) -> PageLinks:
    """Return every link of `html`, at most 20,000.

    Repetitions, those within the page and those that can't be requested (`urls.resolve`) too.
    """
    page, found = _opened(html, page_url, None, whole=True)
    for link in found:
        if len(page.links) >= MAX_LINKS_WITH_REPETITIONS:
            page.cut = page.cut or "too_many_links"
            break
        page.links.append(link)
    return page


def _opened(
    html: str, page_url: Url, agent: str | None, *, whole: bool = False
) -> tuple[PageLinks, Iterator[Link]]:
    """Return what the page says of itself, without links, and its links as they come."""
    text, cut = bounded(html)
    tree = LexborHTMLParser(text)
    page = PageLinks(cut=cut, directives=Directives(agent))
    resolve = urls.resolve if whole else urls.parse
    base = _base_of(tree, page_url.href)
    _read_head(tree, base, page, resolve)
    return page, _found(tree, base, page, resolve)


def _found(tree: LexborHTMLParser, base: str, page: PageLinks, resolve: Resolve) -> Iterator[Link]:
    places = Places(tree)
    parsed: dict[str, Url | None] = {}
    for node in tree.css("a[href],area[href]"):
        attributes = node.attributes
        # What has none of its own has an `xlink:href`: SVG's link, which browsers follow, too.
        href = attributes.get("href", attributes.get("xlink:href")) or ""
        if href in parsed:
            # Most repetitions are literal ones: parsing them once is enough.
            url = parsed[href]
        else:
            url = parsed[href] = _url_of(href, base, page, resolve)
        if url is not None:
            place = places.of(node)
            rel = attributes["rel"] or "" if "rel" in attributes else None
            yield Link(url, place.position, place.region, rel)


def _url_of(href: str, base: str, page: PageLinks, resolve: Resolve) -> Url | None:
    start = href.lstrip(_STRIPPED)[:16].lower()
    # A page that leads to itself leads to nothing that is to be requested.
    if start.startswith(_SCHEMES_SKIPPED) or (start.startswith("#") and resolve is urls.parse):
        return None
    try:
        return resolve(href, base)
    except TargetRefused:
        page.refused += 1
        return None


def _rank(link: Link) -> tuple[bool, int]:
    return not link.is_nofollow, _REGION_RANKS[link.region]


def _base_of(tree: LexborHTMLParser, page_href: str) -> str:
    node = tree.css_first("base[href]")
    href = node.attributes.get("href") if node is not None else None
    if not href:
        return page_href
    try:
        base = ada_url.join_url(page_href, href)
    except ValueError:
        return page_href
    # HTML standard, "set the frozen base URL". Against any other scheme no reference is a link.
    return page_href if base.startswith(("data:", "javascript:")) else base


def _read_head(tree: LexborHTMLParser, base: str, page: PageLinks, resolve: Resolve) -> None:
    for node in tree.css("link[rel][href],meta[content]"):
        attributes = node.attributes
        if node.tag == "link":
            is_canonical = "canonical" in (attributes.get("rel") or "").lower().split()
            if is_canonical and page.canonical is None:
                page.canonical = _optional(attributes.get("href"), base, resolve)
            continue
        content = attributes.get("content") or ""
        page.directives.read_meta(attributes.get("name") or "", content)
        if (attributes.get("http-equiv") or "").lower() == "refresh" and page.refresh is None:
            page.refresh = _optional(refresh_target(content), base, resolve)


def _optional(href: str | None, base: str, resolve: Resolve) -> Url | None:
    try:
        return resolve(href, base) if href else None
    except TargetRefused:
        return None
