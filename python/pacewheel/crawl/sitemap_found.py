"""What a sitemap file held: its pages, its sitemaps, and why there are no more of them.

Owns the result and its limits; the readers of the formats (`sitemap_readers`) put into it what they
find. Promises that nothing is left out without a warning, and that of each kind of defect there is
one, with its number and its first example, however often it occurs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

MAX_SITEMAP_URLS = 50_000
"""How many locations of a file are read, as the protocol limits it."""

_SHOWN_CHARS = 120


class EnoughError(Exception):
    """Unwinds out of a reader once nothing more is wanted."""


@dataclass(frozen=True, slots=True)
class SitemapEntry:
    """One page: `loc` and `lastmod` as written, `priority` within 0 and 1, None if it has none."""

    loc: str
    lastmod: str | None = None
    priority: float | None = None


@dataclass(slots=True)
class Sitemap:
    """What a file held, or what of it has not been taken yet.

    `kind`: `urlset`, `index`, `text`, `feed`, or `unknown`, when nothing was readable. `found`
    counts the locations, taken or not.
    """

    kind: str = "unknown"
    urls: list[SitemapEntry] = field(default_factory=list)
    sitemaps: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    found: int = 0


class Findings:
    """Collects a `sitemap` while it is open."""

    def __init__(self, max_urls: int) -> None:
        """Take up to `max_urls` pages and 50,000 sitemaps."""
        self.sitemap = Sitemap()
        self.is_open = True
        self._pages_left = max_urls
        self._sitemaps_left = MAX_SITEMAP_URLS
        self._max_urls = max_urls
        self._left_out = 0
        self._notes: Counter[str] = Counter()
        self._samples: dict[str, str] = {}

    def add(self, loc: str, lastmod: str | None = None, priority: float | None = None) -> None:
        """Add a page. Raises EnoughError beyond the limit."""
        if not self._pages_left:
            self.refuse(f"more than {self._max_urls} URLs: the rest is left out")
        self._pages_left -= 1
        self.sitemap.found += 1
        self.sitemap.urls.append(SitemapEntry(loc, lastmod, priority))

    def add_sitemap(self, loc: str) -> None:
        """Add a sitemap of an index. Raises EnoughError beyond the limit."""
        if not self._sitemaps_left:
            self.refuse(f"more than {MAX_SITEMAP_URLS} sitemaps: the rest is left out")
        self._sitemaps_left -= 1
        self.sitemap.found += 1
        self.sitemap.sitemaps.append(loc)

    def note(self, reason: str, sample: str) -> None:
        """Count something that was left out. Raises EnoughError after 50,000."""
        self._left_out += 1
        if self._left_out > MAX_SITEMAP_URLS:
            self.refuse(f"more than {MAX_SITEMAP_URLS} parts are unusable: the rest is left out")
        self._notes[reason] += 1
        if reason not in self._samples:
            # Also since a result with NUL in it can't be kept.
            shown = "".join(
                char if char.isprintable() else "\ufffd" for char in sample[:_SHOWN_CHARS]
            )
            self._samples[reason] = shown + "..." * (len(sample) > _SHOWN_CHARS)

    def refuse(self, reason: str) -> None:
        """End the reading with a warning. Raises EnoughError."""
        self.stop(reason)
        raise EnoughError

    def stop(self, warning: str) -> None:
        """Take no more; the warning says why."""
        if self.is_open:
            self.is_open = False
            self.sitemap.warnings.append(warning)

    def take(self) -> tuple[list[SitemapEntry], list[str]]:
        """Return the pages and the sitemaps found since the last call."""
        taken = self.sitemap.urls, self.sitemap.sitemaps
        self.sitemap.urls, self.sitemap.sitemaps = [], []
        return taken

    def result(self) -> Sitemap:
        """Return what has not been taken yet, with all warnings; to be called once."""
        for reason, number in self._notes.items():
            times = f"{number} times, first: " if number > 1 else ""
            self.sitemap.warnings.append(f"{reason} ({times}{self._samples[reason]})")
        if self.sitemap.kind == "unknown" and not self.sitemap.warnings:
            self.sitemap.warnings.append("the file is empty")
        return self.sitemap
