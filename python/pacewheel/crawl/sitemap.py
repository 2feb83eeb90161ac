"""Sitemaps: URLs as they arrive, within limits.

Owns the parsing of sitemap files (urlset, index, plain text; gzip recognised by its magic), fed
piece by piece so that neither the compressed nor the whole decoded file is held. Promises to
return what could be read plus a warning, never an exception, for whatever a server sends. XML is
read by expat with entity declarations refused (no expansion, nothing external). Protocol:
sitemaps.org 0.9.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SITEMAP_BYTES = 50 * 1024 * 1024
MAX_SITEMAP_URLS = 50_000
MAX_INDEX_DEPTH = 3

DEFAULT_PRIORITY = 0.1
"""What an entry without a (valid) priority gets."""

_GZIP_MAGIC = b"\x1f\x8b"
_INFLATE_STEP_BYTES = 64 * 1024
_MAX_RATIO = 300
_RATIO_EXEMPT_BYTES = 1024 * 1024
_MAX_TEXT_CHARS = 8 * 1024
_MAX_WARNINGS = 20
_MAX_XML_DEPTH = 64


@dataclass(frozen=True, slots=True)
class SitemapEntry:
    """One `<url>`: `loc` as written, `lastmod` as written, `priority` within 0 and 1."""

    loc: str
    lastmod: str | None = None
    priority: float = DEFAULT_PRIORITY


@dataclass(slots=True)
class Sitemap:
    """What a file held. `kind`: `urlset`, `index`, `text`, `unknown` (nothing was readable)."""

    kind: str = "unknown"
    urls: list[SitemapEntry] = field(default_factory=list)
    sitemaps: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class SitemapParser:
    """Takes a sitemap's bytes piece by piece; `close` returns the result."""

    def __init__(
        self, max_urls: int = MAX_SITEMAP_URLS, max_bytes: int = MAX_SITEMAP_BYTES
    ) -> None:
        """Stop after `max_urls` locations or `max_bytes` decoded bytes."""
        self.sitemap = Sitemap()
        self._max_urls = max_urls
        self._max_bytes = max_bytes
        self._received = 0
        self._decoded = 0
        self._inflater: Any = None
        self._head = b""
        self._reader: _XmlReader | _TextReader | None = None
        self._is_open = True

    def feed(self, data: bytes) -> bool:
        """Take the next piece; returns False when no more is wanted."""
        if not self._is_open:
            return False
        self._received += len(data)
        if self._inflater is None and not self._decoded:
            # The first two bytes tell gzip from the rest; they may come one by one.
            data = self._head + data
            if len(data) < len(_GZIP_MAGIC):
                self._head = data
                return True
            self._head = b""
            if data.startswith(_GZIP_MAGIC):
                self._inflater = zlib.decompressobj(wbits=31)
        if self._inflater is None:
            self._take(data)
        else:
            self._inflate(data)
        return self._is_open

    def close(self) -> Sitemap:
        """Return what was read; to be called once, after the last `feed`."""
        if self._is_open and self._head:
            self._take(self._head)
        if self._is_open and self._inflater is not None and not self._inflater.eof:
            self._warn("the gzip stream ends early")
        if self._is_open and self._reader is not None:
            self._guarded(b"", is_final=True)
        if self._reader is None and not self.sitemap.warnings:
            self._warn("the file is empty")
        return self.sitemap

    def _inflate(self, data: bytes) -> None:
        while data and self._is_open:
            try:
                for piece in _inflated(self._inflater, data):
                    self._take(piece)
                    if self._decoded > max(_RATIO_EXEMPT_BYTES, self._received * _MAX_RATIO):
                        self._stop(f"expands more than {_MAX_RATIO} times: the rest is left out")
                        break
            except zlib.error as error:
                self._stop(f"the gzip stream is broken ({error}): the rest is left out")
                return
            data = self._inflater.unused_data
            if data:
                # Concatenated gzip members; anything else behind the stream is padding.
                if not data.startswith(_GZIP_MAGIC):
                    return
                self._inflater = zlib.decompressobj(wbits=31)

    def _take(self, data: bytes) -> None:
        room = self._max_bytes - self._decoded
        self._decoded += len(data)
        is_cut = len(data) > room
        if self._reader is None:
            self._reader = self._reader_for(data)
        if self._reader is not None:
            self._guarded(data[:room] if is_cut else data, is_final=False)
        if is_cut:
            self._stop(f"longer than {self._max_bytes} bytes: the rest is left out")

    def _reader_for(self, data: bytes) -> _XmlReader | _TextReader | None:
        start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start:
            return None
        # UTF-16 begins with its byte order mark, or with "<" and a NUL on either side.
        if start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"<" in start[:2]:
            return _XmlReader(self)
        return _TextReader(self)

    def _guarded(self, data: bytes, *, is_final: bool) -> None:
        try:
            if self._reader is not None:
                self._reader.feed(data, is_final=is_final)
        except _EnoughError:
            pass
        except expat.ExpatError as error:
            self._stop(f"not well-formed ({error}): the rest is left out")
        except (ValueError, LookupError) as error:
            self._stop(f"unreadable ({error}): the rest is left out")

    def add(self, loc: str, lastmod: str | None, priority: float) -> None:
        """Called by the readers for each location of a urlset or text file."""
        if len(self.sitemap.urls) >= self._max_urls:
            self._stop(f"more than {self._max_urls} URLs: the rest is left out")
            raise _EnoughError
        self.sitemap.urls.append(SitemapEntry(loc, lastmod, priority))

    def add_sitemap(self, loc: str) -> None:
        """Called by the XML reader for each sitemap of an index."""
        if len(self.sitemap.sitemaps) >= self._max_urls:
            self._stop(f"more than {self._max_urls} sitemaps: the rest is left out")
            raise _EnoughError
        self.sitemap.sitemaps.append(loc)

    def refuse(self, reason: str) -> None:
        """Called by the readers to end the parsing with a warning."""
        self._stop(reason)
        raise _EnoughError

    def _stop(self, warning: str) -> None:
        if self._is_open:
            self._is_open = False
            self._warn(warning)

    def _warn(self, text: str) -> None:
        if len(self.sitemap.warnings) < _MAX_WARNINGS:
            self.sitemap.warnings.append(text)


class _EnoughError(Exception):
    """Unwinds out of expat's callbacks once nothing more is wanted."""


class _XmlReader:
    """Collects loc, lastmod and priority by local name, so that wrong namespaces don't matter."""

    def __init__(self, parser: SitemapParser) -> None:
        self._parser = parser
        self._depth = 0
        self._entry: dict[str, str] | None = None
        self._entry_depth = 0
        self._field: str | None = None
        self._text: list[str] = []
        self._text_chars = 0
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        self._expat.EntityDeclHandler = self._entity

    def feed(self, data: bytes, *, is_final: bool) -> None:
        self._expat.Parse(data, is_final)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_XML_DEPTH:
            self._parser.refuse("nested too deeply: the rest is left out")
        local = name.rpartition(":")[2].lower()
        if self._depth == 1:
            self._parser.sitemap.kind = {"urlset": "urlset", "sitemapindex": "index"}.get(
                local, "unknown"
            )
            if self._parser.sitemap.kind == "unknown":
                self._parser.refuse(
                    f"the root element is {local[:40]!r}, not urlset or sitemapindex"
                )
        elif local in ("url", "sitemap") and self._entry is None:
            self._entry = {}
            self._entry_depth = self._depth
        elif (
            self._entry is not None
            and self._depth == self._entry_depth + 1
            # An image or video extension has a `loc` of its own, under another prefix.
            and local in ("loc", "lastmod", "priority")
            and name.partition(":")[0].lower() not in ("image", "video", "news")
        ):
            self._field = local
            self._text.clear()
            self._text_chars = 0

    def _end(self, _name: str) -> None:
        if self._entry is not None and self._depth == self._entry_depth:
            self._finish_entry(self._entry)
            self._entry = None
        elif self._field is not None and self._entry is not None:
            self._entry.setdefault(self._field, "".join(self._text).strip())
            self._field = None
        self._depth -= 1

    def _characters(self, text: str) -> None:
        if self._field is not None and self._text_chars <= _MAX_TEXT_CHARS:
            self._text.append(text)
            self._text_chars += len(text)

    def _entity(self, *_declaration: object) -> None:
        self._parser.refuse("declares entities: refused, the rest is left out")

    def _finish_entry(self, entry: dict[str, str]) -> None:
        loc = entry.get("loc", "")
        if not loc:
            return
        if self._parser.sitemap.kind == "index":
            self._parser.add_sitemap(loc)
        else:
            self._parser.add(loc, entry.get("lastmod") or None, _priority(entry.get("priority")))


class _TextReader:
    """One URL a line, UTF-8."""

    def __init__(self, parser: SitemapParser) -> None:
        self._parser = parser
        self._rest = b""

    def feed(self, data: bytes, *, is_final: bool) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = b"" if is_final else lines.pop()
        if len(self._rest) > _MAX_TEXT_CHARS:
            self._parser.refuse("no line of the text is a URL: the rest is left out")
        for line in lines:
            text = line.decode("utf-8-sig", "replace").strip()
            # Anything else (an HTML error page, prose) is not a sitemap's line.
            if text.startswith(("http://", "https://")):
                self._parser.sitemap.kind = "text"
                self._parser.add(text, None, DEFAULT_PRIORITY)
            elif text and self._parser.sitemap.kind == "unknown":
                self._parser.refuse("neither XML nor a list of URLs")


def parse(body: bytes, max_urls: int = MAX_SITEMAP_URLS) -> Sitemap:
    """Parse a whole sitemap file at once."""
    parser = SitemapParser(max_urls)
    parser.feed(body)
    return parser.close()


def _inflated(inflater: Any, data: bytes) -> Iterator[bytes]:
    piece = inflater.decompress(data, _INFLATE_STEP_BYTES)
    while piece:
        yield piece
        piece = inflater.decompress(inflater.unconsumed_tail, _INFLATE_STEP_BYTES)


def _priority(text: str | None) -> float:
    try:
        value = float(text) if text else DEFAULT_PRIORITY
    except ValueError:
        return DEFAULT_PRIORITY
    # Also false for NaN.
    return value if 0.0 <= value <= 1.0 else DEFAULT_PRIORITY
