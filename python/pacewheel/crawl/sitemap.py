"""Sitemaps: URLs as they arrive, within limits.

Owns what a sitemap file is: a urlset, an index, a feed (RSS 1.0 and 2.0, Atom) or a text of one URL
a line, gzip recognised by its magic whatever the content type says. It is fed piece by piece, and
what was found can be taken at any time, so neither the file, packed or not, nor its entries are
ever held whole. Promises to return what could be read, and a warning for whatever could not, never
an exception. Protocol: sitemaps.org 0.9. The formats are read by `sitemap_readers`, what they find
is collected by `sitemap_found`.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from pacewheel.crawl.sitemap_found import MAX_SITEMAP_URLS, EnoughError, Findings
from pacewheel.crawl.sitemap_readers import Reader, reader_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.crawl.sitemap_found import Sitemap, SitemapEntry

MAX_SITEMAP_BYTES = 50 * 1024 * 1024
"""How much of an unpacked file is read, as the protocol limits it."""

MAX_INDEX_DEPTH = 3

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 1024
_INFLATE_STEP_BYTES = 64 * 1024
_MAX_RATIO = 300
_RATIO_EXEMPT_BYTES = 1024 * 1024
# Each costs some microseconds, also if there is nothing in it.
_MAX_MEMBERS = 10_000


class SitemapParser:
    """Takes a sitemap's bytes piece by piece; `close` returns the result."""

    def __init__(
        self, max_urls: int = MAX_SITEMAP_URLS, max_bytes: int = MAX_SITEMAP_BYTES
    ) -> None:
        """Stop after `max_urls` pages, 50,000 sitemaps or `max_bytes` decoded bytes."""
        self._findings = Findings(max_urls)
        self._max_bytes = max_bytes
        self._received = 0
        self._decoded = 0
        self._inflater: Any = None
        self._members = 0
        self._magic = b""
        self._head = b""
        self._reader: Reader | None = None

    @property
    def is_open(self) -> bool:
        """True while more is wanted."""
        return self._findings.is_open

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
                self._inflater = self._member()
        if self._inflater is None:
            self._take(data)
        else:
            self._inflate(data)
        return self.is_open

    def take(self) -> tuple[list[SitemapEntry], list[str]]:
        """Return the pages and the sitemaps found since the last call."""
        return self._findings.take()

    def stop(self, warning: str) -> None:
        """Read no more; the warning says why."""
        self._findings.stop(warning)

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
        return self._findings.result()

    def _member(self) -> Any:
        self._members += 1
        return zlib.decompressobj(wbits=31)

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
                if self._members == _MAX_MEMBERS:
                    self.stop(f"more than {_MAX_MEMBERS} gzip members: the rest is left out")
                    return
                self._inflater = self._member()
            try:
                pieces = _inflated(self._inflater, data)
                for piece in takewhile(lambda _: self.is_open, pieces):
                    self._take(piece)
                    if self._decoded > max(_RATIO_EXEMPT_BYTES, self._received * _MAX_RATIO):
                        self.stop(f"expands more than {_MAX_RATIO} times: the rest is left out")
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
        self._reader = reader_for(head, self._findings)
        self._read(head, is_final=False)

    def _read(self, data: bytes, *, is_final: bool) -> None:
        assert self._reader is not None
        with suppress(EnoughError):
            self._reader.feed(data, is_final=is_final)


def parse(body: bytes, max_urls: int = MAX_SITEMAP_URLS) -> Sitemap:
    """Parse a whole sitemap file at once."""
    parser = SitemapParser(max_urls)
    for start in range(0, len(body), _INFLATE_STEP_BYTES):
        if not parser.feed(body[start : start + _INFLATE_STEP_BYTES]):
            break
    return parser.close()


def _inflated(inflater: Any, data: bytes) -> Iterator[bytes]:
    piece = b"-"
    while piece:
        before = inflater.copy()
        try:
            piece = inflater.decompress(data, _INFLATE_STEP_BYTES)
        except zlib.error:
            # What the same call has decoded before the defect (perhaps a wrong sum at the very end)
            # is lost with it; taken byte by byte it is not.
            for octet in data:
                yield before.decompress(bytes((octet,)))
            raise
        yield piece
        data = inflater.unconsumed_tail
