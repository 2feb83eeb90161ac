"""What a site of the farm contains: paths, links, HTML, robots.txt, sitemaps; and its truth.

Nothing is stored: a page is computed from its number and the site's seed whenever it is asked for,
so 20,000 pages cost no memory. Page 0 is ``/``; page *i* hangs below page ``(i - 1) // branching``
and its path names the section (the ancestor below the root), so a robots rule can forbid a branch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.loadtest.farm_sites import SiteSpec

SECTIONS: Final = ("guides", "news", "archive", "products", "blog", "docs", "team", "events")
WORDS: Final = ("amber", "brook", "cedar", "dune", "ember", "fjord", "grove", "harbor", "island",
                "juniper", "kelp", "lagoon", "meadow", "north", "orchard", "pine", "quartz",
                "river", "summit", "tundra", "umber", "valley", "willow", "yarrow", "zephyr")  # fmt: skip
SITEMAP_NS: Final = "http://www.sitemaps.org/schemas/sitemap/0.9"
HOSTILE_PREFIX: Final = "/hostile/"

_FILLER: Final = " ".join(WORDS[(i * 7 + i // 25) % len(WORDS)] for i in range(20_000))


def mix(seed: int, *parts: str | int) -> int:
    """A 32-bit hash of the parts: the farm's only source of variety, equal in every process."""
    text = ":".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


@dataclass(frozen=True, slots=True)
class Links:
    """The page numbers a page links to, by place; ``extra`` holds paths of special pages."""

    header: tuple[int, ...]
    nav: tuple[int, ...]
    main: tuple[int, ...]
    footer: tuple[int, ...]
    extra: tuple[str, ...]


class Site:
    """The content of one site. ``origin`` and ``neighbour`` (``http://host:port``) are for links.

    Pure: every method is a function of the specification and its arguments.
    """

    def __init__(self, spec: SiteSpec, origin: str = "", neighbour: str = "") -> None:
        """Take the site's specification; sockets and state belong to the caller."""
        self.spec = spec
        self.origin = origin
        self.neighbour = neighbour
        self.redirects = {redirect.source: redirect.target for redirect in spec.redirects}
        self.unavailable = dict(spec.unavailable)
        self._linked = spec.pages - spec.sitemap_only
        self._tops = tuple(range(1, min(spec.branching + 1, self._linked)))

    def path_of(self, page: int) -> str:
        """The path of a page by its number."""
        return _path_of(self.spec.seed, self.spec.branching, page)

    def page_of(self, path: str) -> int | None:
        """The number of the page at a path, None if there is none."""
        if path == "/":
            return 0
        digits = path.rpartition("-")[2]
        if not (
            digits.isascii() and digits.isdecimal() and len(digits) <= len(str(self.spec.pages))
        ):
            return None
        page = int(digits)
        return page if page < self.spec.pages and self.path_of(page) == path else None

    def links_of(self, page: int) -> Links:
        """Where a page links to: its children and some seeded pages in the main part."""
        spec, linked = self.spec, self._linked
        first = page * spec.branching + 1
        children = range(first, min(first + spec.branching, linked)) if page < linked else ()
        crossed = (mix(spec.seed, "link", page, k) % linked for k in range(spec.cross_links))
        extra: tuple[str, ...] = ()
        if page == 0:
            hostile = (HOSTILE_PREFIX + kind for kind in spec.hostile)
            extra = (*self.redirects, *hostile)
        return Links(
            header=(0, *self._tops[:2]),
            nav=self._tops,
            main=(*children, *crossed),
            footer=tuple(range(max(0, linked - spec.footer_links), linked)),
            extra=extra,
        )

    def html(self, page: int) -> bytes:
        """The page as semantic HTML of roughly the specified size; hrefs of several forms."""
        spec, links, path = self.spec, self.links_of(page), self.path_of(page)
        size = spec.page_bytes + mix(spec.seed, "size", page) % (spec.page_bytes_spread + 1)
        header = _anchors([self.origin + self.path_of(n) for n in links.header])
        nav = _anchors([self.path_of(n) for n in links.nav])
        main = _anchors([".." + self.path_of(n) for n in links.main] + list(links.extra))
        outside = [f"{self.neighbour}/"] if spec.neighbour_link and page == 0 else []
        footer = _anchors(
            [self.path_of(n) + "#top" for n in links.footer] + ["mailto:a@b.test", *outside]
        )
        head = (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{spec.name} '
            f"{path}</title></head><body><header>{header}</header><nav>{nav}</nav>"
            f"<main><h1>{path}</h1><p>"
        )
        tail = f"</p>{main}</main><footer>{footer}</footer></body></html>"
        start = mix(spec.seed, "text", page) % 20_000
        text = _FILLER[start : start + max(0, size - len(head) - len(tail))]
        return (head + text + tail).encode()

    def robots_txt(self) -> bytes | None:
        """The robots.txt, None if the site has none."""
        robots = self.spec.robots
        if robots.missing:
            return None
        lines = ["User-agent: *", *(f"Disallow: {rule}" for rule in robots.disallow)]
        if robots.crawl_delay_s:
            lines.append(f"Crawl-delay: {robots.crawl_delay_s:g}")
        if self.spec.sitemap_is_announced:
            lines.append(f"Sitemap: {self.origin}/sitemap.xml")
        return "\n".join([*lines, ""]).encode()

    def sitemap(self, path: str) -> bytes | None:
        """The sitemap or sitemap index at a path, None if there is none."""
        spec = self.spec
        if spec.sitemap == "none":
            return None
        if spec.sitemap == "flat":
            return self._urlset(range(spec.pages)) if path == "/sitemap.xml" else None
        starts = range(0, spec.pages, spec.sitemap_child_pages)
        if path == "/sitemap.xml":
            locations = "".join(
                f"<sitemap><loc>{self.origin}/sitemap-{number}.xml</loc></sitemap>"
                for number in range(len(starts))
            )
            return f'<sitemapindex xmlns="{SITEMAP_NS}">{locations}</sitemapindex>'.encode()
        digits = path.removeprefix("/sitemap-").removesuffix(".xml")
        if not (digits.isascii() and digits.isdecimal()) or int(digits) >= len(starts):
            return None
        start = starts[int(digits)]
        return self._urlset(range(start, min(start + spec.sitemap_child_pages, spec.pages)))

    def forbids(self, path: str) -> bool:
        """Whether robots.txt forbids a path (the farm's rules are plain prefixes)."""
        robots = self.spec.robots
        return not robots.missing and path.startswith(robots.disallow)

    def sitemap_pages(self, pages: range) -> Iterator[int]:
        """Those of the given page numbers that the sitemap lists."""
        skips = self.spec.sitemap_skips
        return (page for page in pages if not skips or page % skips != skips - 1)

    def _urlset(self, pages: range) -> bytes:
        entries = []
        for page in self.sitemap_pages(pages):
            priority = (10 - mix(self.spec.seed, "priority", page) % 10) / 10 if page else 1.0
            day = 1 + mix(self.spec.seed, "day", page) % 28
            entries.append(
                f"<url><loc>{self.origin}{self.path_of(page)}</loc>"
                f"<lastmod>2026-01-{day:02d}</lastmod><priority>{priority:.1f}</priority></url>"
            )
        return f'<urlset xmlns="{SITEMAP_NS}">{"".join(entries)}</urlset>'.encode()


def truth(spec: SiteSpec, *, sitemap: bool = True, links: bool = True) -> frozenset[str]:
    """The paths of all pages a complete and obedient warm from ``/`` must have fetched with 200.

    Discovered by links and by the sitemap if robots.txt announces it (either may be switched
    off); robots rules obeyed, same site only, redirects followed, error pages left out.
    """
    site = Site(spec)
    frontier = ["/"]
    if sitemap and spec.sitemap_is_announced:
        frontier += [site.path_of(page) for page in site.sitemap_pages(range(spec.pages))]
    seen, found = set(frontier), set()
    while frontier:
        path = frontier.pop()
        if site.forbids(path):
            continue
        page = site.page_of(path)
        reached: list[str] = [site.redirects[path]] if path in site.redirects else []
        if page is not None and page not in site.unavailable:
            found.add(path)
            if links:
                to = site.links_of(page)
                numbers = (*to.header, *to.nav, *to.main, *to.footer)
                reached = [*map(site.path_of, numbers), *to.extra]
        fresh = set(reached) - seen
        seen |= fresh
        frontier += fresh
    return frozenset(found)


@lru_cache(maxsize=32_768)  # a page names some 25 others: 3,700 requests/s without, 8,000 with
def _path_of(seed: int, branching: int, page: int) -> str:
    if page == 0:
        return "/"
    top = page
    while top > branching:
        top = (top - 1) // branching
    word = WORDS[mix(seed, "word", page) % len(WORDS)]
    return f"/{SECTIONS[top - 1]}/{word}-{page}"


def _anchors(hrefs: list[str]) -> str:
    return "".join(f'<a href="{href}">{href}</a> ' for href in hrefs)
