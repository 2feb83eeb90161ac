"""Sitemaps: URLs as they arrive, within limits.

Owns what a sitemap file is: a urlset, an index, a feed (RSS 1.0 and 2.0, Atom) or a text of one URL
a line, gzip recognised by its magic whatever the content type says. It is fed piece by piece, and
what was found can be taken at any time, so neither the file, packed or not, nor its entries are
ever held whole. Promises to return what could be read, and a warning for whatever could not, never
an exception. Protocol: sitemaps.org 0.9. The formats are read by `sitemap_readers`.
"""

from __future__ import annotations

import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pacewheel.crawl.sitemap_readers import EnoughError, Reader, reader_for

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SITEMAP_BYTES = 50 * 1024 * 1024
"""How much of an unpacked file is read, as the protocol limits it."""

MAX_SITEMAP_URLS = 50_000
"""How many locations of a file are read, as the protocol limits it."""

MAX_INDEX_DEPTH = 3

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 1024
_INFLATE_STEP_BYTES = 64 * 1024
_MAX_RATIO = 300
_RATIO_EXEMPT_BYTES = 1024 * 1024
_MAX_WARNINGS = 20
_SHOWN_CHARS = 120


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


class SitemapParser:
    """Takes a sitemap's bytes piece by piece; `close` returns the result."""

    def __init__(
        self, max_urls: int = MAX_SITEMAP_URLS, max_bytes: int = MAX_SITEMAP_BYTES
    ) -> None:
        """Stop after `max_urls` pages, 50,000 sitemaps or `max_bytes` decoded bytes."""
        self.sitemap = Sitemap()
        self._max_urls = max_urls
        self._max_bytes = max_bytes
        self._received = 0
        self._decoded = 0
        self._inflater: Any = None
        self._magic = b""
        self._head = b""
        self._reader: Reader | None = None
        self.is_open = True
        self._left_out = 0
        self._notes: Counter[str] = Counter()
        self._samples: dict[str, str] = {}

    def feed(self, data: bytes) -> bool:
        """Take the next piece; returns False when no more is wanted."""
        if not self.is_open:
            return False
        self._received += len(data)
        if self._inflater is None and not self._decoded:
            # The first two bytes tell gzip from the rest; they may come one by one.
            data = self._magic + data
            if len(data) < len(_GZIP_MAGIC):
                self._magic = data
                return True
            self._magic = b""
            if data.startswith(_GZIP_MAGIC):
                self._inflater = zlib.decompressobj(wbits=31)
        if self._inflater is None:
            self._take(data)
        else:
            self._inflate(data)
        return self.is_open

    def take(self) -> tuple[list[SitemapEntry], list[str]]:
        """Return the pages and the sitemaps found since the last call."""
        taken = self.sitemap.urls, self.sitemap.sitemaps
        self.sitemap.urls, self.sitemap.sitemaps = [], []
        return taken

    def close(self) -> Sitemap:
        """Return what has not been taken yet; to be called once, after the last `feed`."""
        if self.is_open and self._magic:
            self._take(self._magic)
        if self._reader is None:
            self._begin()
        if self.is_open and self._inflater is not None and not self._inflater.eof:
            # What its last line would have become is not known.
            self.stop("the gzip stream ends early")
        if self.is_open:
            self._read(b"", is_final=True)
        for reason, number in self._notes.items():
            times = f"{number} times, first: " if number > 1 else ""
            self._warn(f"{reason} ({times}{self._samples[reason]})")
        if self.sitemap.kind == "unknown" and not self.sitemap.warnings:
            self._warn("the file is empty")
        return self.sitemap

    def stop(self, warning: str) -> None:
        """Read no more; the warning says why."""
        if self.is_open:
            self.is_open = False
            self._warn(warning)

    # What the readers say.

    def add(self, loc: str, lastmod: str | None = None, priority: float | None = None) -> None:
        """Add a page."""
        self._count("URLs", self._max_urls)
        self.sitemap.urls.append(SitemapEntry(loc, lastmod, priority))

    def add_sitemap(self, loc: str) -> None:
        """Add a sitemap of an index."""
        self._count("sitemaps", MAX_SITEMAP_URLS)
        self.sitemap.sitemaps.append(loc)

    def note(self, reason: str, sample: str) -> None:
        """Count something that was left out; it becomes one warning, with the first sample."""
        self._left_out += 1
        if self._left_out > MAX_SITEMAP_URLS:
            self.refuse(f"more than {MAX_SITEMAP_URLS} parts are unusable: the rest is left out")
        self._notes[reason] += 1
        shown = sample if len(sample) <= _SHOWN_CHARS else sample[:_SHOWN_CHARS] + "..."
        self._samples.setdefault(reason, shown)

    def refuse(self, reason: str) -> None:
        """End the parsing with a warning."""
        self.stop(reason)
        raise EnoughError

    def _count(self, what: str, limit: int) -> None:
        if self.sitemap.found >= limit:
            self.refuse(f"more than {limit} {what}: the rest is left out")
        self.sitemap.found += 1

    def _inflate(self, data: bytes) -> None:
        while data and self.is_open:
            if self._inflater.eof:
                # Concatenated members are one file; zeros behind them are padding.
                data = data.lstrip(b"\x00")
                if not data:
                    return
                if not data.startswith(_GZIP_MAGIC[: len(data)]):
                    self.stop("bytes behind the gzip stream are left out")
                    return
                self._inflater = zlib.decompressobj(wbits=31)
            try:
                for piece in _inflated(self._inflater, data):
                    self._take(piece)
                    if self._decoded > max(_RATIO_EXEMPT_BYTES, self._received * _MAX_RATIO):
                        self.stop(f"expands more than {_MAX_RATIO} times: the rest is left out")
                        break
            except zlib.error as error:
                self.stop(f"the gzip stream is broken ({error}): the rest is left out")
                return
            data = self._inflater.unused_data

    def _take(self, data: bytes) -> None:
        room = self._max_bytes - self._decoded
        self._decoded += len(data)
        if self._reader is None:
            self._head += data[:room]
            # Enough of it to tell what it is, however small the pieces are.
            if len(self._head) >= _HEAD_BYTES:
                self._begin()
        else:
            self._read(data[:room], is_final=False)
        if len(data) > room:
            self.stop(f"longer than {self._max_bytes} bytes: the rest is left out")

    def _begin(self) -> None:
        head, self._head = self._head, b""
        self._reader = reader_for(head, self)
        self._read(head, is_final=False)

    def _read(self, data: bytes, *, is_final: bool) -> None:
        assert self._reader is not None
        with suppress(EnoughError):
            self._reader.feed(data, is_final=is_final)

    def _warn(self, text: str) -> None:
        if len(self.sitemap.warnings) < _MAX_WARNINGS:
            self.sitemap.warnings.append(text)


def parse(body: bytes, max_urls: int = MAX_SITEMAP_URLS) -> Sitemap:
    """Parse a whole sitemap file at once."""
    parser = SitemapParser(max_urls)
    for start in range(0, len(body), _INFLATE_STEP_BYTES):
        if not parser.feed(body[start : start + _INFLATE_STEP_BYTES]):
            break
    return parser.close()


def _inflated(inflater: Any, data: bytes) -> Iterator[bytes]:
    piece = inflater.decompress(data, _INFLATE_STEP_BYTES)
    while piece:
        yield piece
        piece = inflater.decompress(inflater.unconsumed_tail, _INFLATE_STEP_BYTES)
