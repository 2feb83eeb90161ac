"""Links of a page: absolute, once each, with their place on the page.

Owns which links a page gives: `href` of `a` and `area` only, resolved as browsers do (base href
included), http(s) only, first occurrence of each canonical key. The *position* is the nearest
landmark ancestor by element or role; the *region* says whether a link stands in the page's header
or footer at all, since the main navigation is usually a `nav` inside the `header`. Bounded: 5,000
links a page, and see `html_guard`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import ada_url
from selectolax.lexbor import LexborHTMLParser, LexborNode

from pacewheel.crawl import urls
from pacewheel.crawl.html_guard import bounded
from pacewheel.errors import TargetRefused

if TYPE_CHECKING:
    from pacewheel.crawl.urls import Url

MAX_LINKS = 5_000

_ELEMENT_LANDMARKS = {"header": "header", "nav": "nav", "main": "main", "footer": "footer"}
_ROLE_LANDMARKS = {
    "banner": "header",
    "navigation": "nav",
    "main": "main",
    "contentinfo": "footer",
}
# A header or footer inside one of these belongs to it, not to the page (HTML-AAM).
_SECTIONING = frozenset({"article", "aside", "main", "nav", "section"})
_MARKED = "header,nav,main,footer,article,aside,section,[role]"
_SCHEMES_SKIPPED = ("javascript:", "mailto:", "tel:", "data:", "#")


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

    `refused` counts links that are not requestable URLs; `cut` says why the page or its links
    were cut.
    """

    links: list[Link] = field(default_factory=list)
    noindex: bool = False
    nofollow: bool = False
    refused: int = 0
    cut: str | None = None


def extract(html: str, page_url: Url, max_links: int = MAX_LINKS) -> PageLinks:
    """Return the links of `html`, the text of the page at `page_url`, in document order."""
    text, cut = bounded(html)
    tree = LexborHTMLParser(text)
    page = PageLinks(cut=cut)
    _read_robots_meta(tree, page)
    base = _base_of(tree, page_url.href)
    places = _Places(tree)
    seen: set[str] = set()
    seen_hrefs: set[str] = set()
    for node in tree.css("a[href],area[href]"):
        attributes = node.attributes
        href = (attributes.get("href") or "").strip()
        # Most repetitions are literal ones: dropping them here saves parsing them.
        if href in seen_hrefs or href.lower().startswith(_SCHEMES_SKIPPED):
            continue
        seen_hrefs.add(href)
        try:
            url = urls.parse(href, base)
        except TargetRefused:
            page.refused += 1
            continue
        key = url.key
        if key in seen:
            continue
        seen.add(key)
        if len(page.links) >= max_links:
            page.cut = page.cut or "too_many_links"
            break
        place = places.of(node)
        page.links.append(Link(url, place.position, place.region, attributes.get("rel")))
    return page


class _Place(NamedTuple):
    position: str
    region: str | None
    is_sectioned: bool


class _Places:
    """Finds the place of a node, remembering every ancestor, so that a page costs O(elements).

    Most elements are no landmarks: these are looked up once for the page, so that passing the
    others asks for neither tag nor attributes.
    """

    def __init__(self, tree: LexborHTMLParser) -> None:
        self._known: dict[int, _Place] = {}
        self._marked = {node.mem_id: node for node in tree.css(_MARKED)}

    def of(self, node: LexborNode) -> _Place:
        chain: list[int] = []
        known = self._known
        place = _Place("body", None, is_sectioned=False)
        ancestor = node.parent
        while ancestor is not None:
            ancestor_id = ancestor.mem_id
            if ancestor_id in known:
                place = known[ancestor_id]
                break
            chain.append(ancestor_id)
            ancestor = ancestor.parent
        for ancestor_id in reversed(chain):
            element = self._marked.get(ancestor_id)
            if element is not None:
                place = _place_within(element, place)
            known[ancestor_id] = place
        return place


def _place_within(element: LexborNode, outer: _Place) -> _Place:
    tag = element.tag or ""
    landmark = _ELEMENT_LANDMARKS.get(tag)
    if landmark in ("header", "footer") and outer.is_sectioned:
        landmark = None
    role = element.attributes.get("role")
    if role and role.strip():
        # An explicit role replaces the element's own.
        landmark = _ROLE_LANDMARKS.get(role.split()[0].lower())
    region = landmark if landmark in ("header", "footer") else outer.region
    is_sectioned = outer.is_sectioned or tag in _SECTIONING
    return _Place(landmark or outer.position, region, is_sectioned)


def _base_of(tree: LexborHTMLParser, page_href: str) -> str:
    node = tree.css_first("base[href]")
    href = node.attributes.get("href") if node is not None else None
    if not href:
        return page_href
    try:
        base = ada_url.join_url(page_href, href)
    except ValueError:
        return page_href
    return base if base.startswith(("http://", "https://")) else page_href


def _read_robots_meta(tree: LexborHTMLParser, page: PageLinks) -> None:
    for node in tree.css("meta[name][content]"):
        attributes = node.attributes
        if (attributes.get("name") or "").strip().lower() == "robots":
            apply_robots_directives(attributes.get("content") or "", page)


def apply_robots_directives(text: str, page: PageLinks) -> None:
    """Apply the directives of a robots meta element or an X-Robots-Tag header to `page`."""
    words = {word.strip().lower() for word in text.replace(":", ",").split(",")}
    page.noindex = page.noindex or bool(words & {"noindex", "none"})
    page.nofollow = page.nofollow or bool(words & {"nofollow", "none"})
