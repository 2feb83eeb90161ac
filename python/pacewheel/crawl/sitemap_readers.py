"""The formats of sitemap files: XML (urlset, index, RSS, Atom) and text.

Owns how locations are found in them. XML is read by expat, streamed: entity declarations end the
reading, so nothing is expanded, and nothing external is ever loaded. A file that is not well-formed
is read on from the next entry. A tag or comment that does not end is given up after a megabyte.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Protocol
from xml.parsers import expat

if TYPE_CHECKING:
    from pacewheel.crawl.sitemap import SitemapParser

_MAX_TEXT_CHARS = 8 * 1024
_MAX_TOKEN_BYTES = 1024 * 1024
_MAX_XML_DEPTH = 64
_MAX_BREAKS = 1000
# A text that has not brought a URL by then is no sitemap.
_MAX_PROSE_LINES = 100

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ROOT_TAG = re.compile(rb"<(?:[\w-]+:)?(?:urlset|sitemapindex|rss|RDF|feed)[\s>]", re.IGNORECASE)
_ENTRY_TAG = re.compile(rb"<(?:[\w-]+:)?(?:url|sitemap|item|entry)[\s>]", re.IGNORECASE)
_TAG_BYTES = 64
"""A tag that is looked for may be cut by the end of a piece: so much of it is kept."""

_KINDS = {"urlset": "urlset", "sitemapindex": "index", "rss": "feed", "rdf": "feed", "feed": "feed"}
# Not what has the same name elsewhere: the `url` of a feed is that of its logo.
_ENTRIES = {
    "urlset": frozenset({"url", "sitemap"}),
    "index": frozenset({"url", "sitemap"}),
    "feed": frozenset({"item", "entry"}),
}
_EXTENSIONS = frozenset({"image", "video", "news"})
# What each element of an entry stands for; those of feeds have names of their own.
_FIELDS = {
    "loc": "loc",
    "lastmod": "lastmod",
    "priority": "priority",
    "link": "loc",
    "guid": "guid",
    "pubdate": "lastmod",
    "date": "lastmod",
    "updated": "lastmod",
    "published": "published",
}


class EnoughError(Exception):
    """Unwinds out of expat's callbacks once nothing more is wanted."""


class Reader(Protocol):
    """Reads one format."""

    def feed(self, data: bytes, *, is_final: bool) -> None:
        """Read the next piece, telling the parser what it brings.

        Raises:
            EnoughError: no more is wanted.
        """


def reader_for(head: bytes, parser: SitemapParser) -> Reader:
    """Return the reader of a file that begins with `head`."""
    text = head.decode("utf-16", "replace") if head.startswith(_UTF_16_MARKS) else ""
    is_xml = (
        head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"\x00<"))
        or text.lstrip().startswith("<")
        or _ROOT_TAG.search(head) is not None
    )
    if is_xml:
        return _XmlReader(parser, is_utf_16=b"\x00" in head[:4])
    return _TextReader(parser, is_utf_16=bool(text))


class _XmlReader:
    """Goes by local names, so that wrong namespaces don't matter."""

    def __init__(self, parser: SitemapParser, *, is_utf_16: bool) -> None:
        self._parser = parser
        self._is_utf_16 = is_utf_16
        self._root: str | None = None
        self._encoding: str | None = None
        self._depth = 0
        self._entry: dict[str, str] | None = None
        self._entry_kind = ""
        self._entry_depth = 0
        self._field: str | None = None
        self._text: list[str] = []
        self._text_chars = 0
        self._breaks = 0
        # Behind a break: what may be the beginning of the tag from which reading goes on.
        self._tail: bytes | None = None
        self._fed = 0
        self._expat = self._fresh()

    def feed(self, data: bytes, *, is_final: bool) -> None:
        if data and is_final:
            self.feed(data, is_final=False)
            data = b""
        data = (self._tail or b"") + data
        while True:
            if self._tail is not None:
                found = (_ENTRY_TAG if self._root else _ROOT_TAG).search(data)
                if found is None:
                    self._tail = data[-_TAG_BYTES:]
                    return
                data = data[found.start() :]
                self._resume()
            try:
                self._parse(data, is_final=is_final)
            except expat.ExpatError as error:
                if is_final:
                    self._parser.note("the file ends early", str(error))
                    return
                data = self._after_break(data, error)
            except (ValueError, LookupError) as error:
                # URLs are ASCII, so whatever the encoding is, they can be read.
                self._parser.note("an encoding is not known: read as ISO-8859-1", str(error))
                self._encoding = "iso-8859-1"
                self._tail = b""
            else:
                return

    def _parse(self, data: bytes, *, is_final: bool) -> None:
        self._fed += len(data)
        self._expat.Parse(data, is_final)
        # Expat looks at an unfinished token again with every piece.
        if self._fed - self._expat.CurrentByteIndex > _MAX_TOKEN_BYTES:
            self._parser.refuse("a tag or comment does not end: the rest is left out")

    def _after_break(self, data: bytes, error: expat.ExpatError) -> bytes:
        """Return what is behind the error, where reading may go on from the next entry."""
        self._breaks += 1
        if self._is_utf_16 or self._breaks > _MAX_BREAKS:
            self._parser.refuse(f"not well-formed ({error}): the rest is left out")
        self._parser.note("not well-formed: left out up to the next entry", str(error))
        self._tail = b""
        begun = self._fed - len(data)
        # At least one byte on, so that the same tag is not met again.
        return data[max(self._expat.ErrorByteIndex - begun, 0) + 1 :]

    def _resume(self) -> None:
        self._tail = None
        self._depth = 0
        self._entry = None
        self._field = None
        self._fed = 0
        self._expat = self._fresh()
        if self._root is not None:
            self._parse(f"<{self._root}>".encode(), is_final=False)

    def _fresh(self) -> expat.XMLParserType:
        reading = expat.ParserCreate(self._encoding)
        reading.buffer_text = True
        reading.XmlDeclHandler = self._declared
        reading.StartDoctypeDeclHandler = self._doctype
        reading.EntityDeclHandler = self._entity
        reading.SkippedEntityHandler = self._skipped
        reading.StartElementHandler = self._start
        reading.EndElementHandler = self._end
        reading.CharacterDataHandler = self._characters
        return reading

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        # Of one that is declared wrongly the bytes tell.
        if encoding is not None and not encoding.lower().startswith("utf-16"):
            self._encoding = encoding

    def _doctype(self, _name: str, system_id: str | None, *_more: object) -> None:
        if system_id is not None:
            self._parser.note("an external DTD is not read", system_id)

    def _entity(self, *_declaration: object) -> None:
        self._parser.refuse("declares entities: refused, the rest is left out")

    def _skipped(self, name: str, _is_parameter: bool) -> None:  # noqa: FBT001 - expat calls it so
        self._parser.note("an entity that is not known is left out", f"&{name};")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_XML_DEPTH:
            self._parser.refuse("nested too deeply: the rest is left out")
        prefix, _, local = name.lower().rpartition(":")
        if self._depth == 1:
            self._begin(name, local)
        elif self._entry is None:
            if local in _ENTRIES[self._parser.sitemap.kind]:
                self._entry = {}
                self._entry_kind = local
                self._entry_depth = self._depth
        elif self._depth == self._entry_depth + 1 and prefix not in _EXTENSIONS:
            # An image or video extension has a `loc` of its own, under another prefix.
            self._begin_field(prefix, local, attributes)

    def _begin(self, name: str, local: str) -> None:
        kind = _KINDS.get(local)
        if kind is None:
            self._parser.refuse(
                f"the root element is {local[:40]!r}: no urlset, sitemapindex, rss or feed"
            )
        elif self._root is None:
            self._root = name
            self._parser.sitemap.kind = kind

    def _begin_field(self, prefix: str, local: str, attributes: dict[str, str]) -> None:
        assert self._entry is not None
        if local == "link" and "href" in attributes:
            # Atom: of an entry's links the one to the page itself, not to a feed or an enclosure.
            if self._entry_kind == "entry" and attributes.get("rel", "alternate") == "alternate":
                self._entry.setdefault("loc", attributes["href"].strip())
        elif local == "guid" and attributes.get("isPermaLink", "true").lower() != "true":
            return
        elif local in _FIELDS and (local != "link" or not prefix):
            self._field = _FIELDS[local]
            self._text.clear()
            self._text_chars = 0

    def _end(self, _name: str) -> None:
        if self._entry is not None and self._depth == self._entry_depth:
            self._finish_entry(self._entry)
            self._entry = None
        elif self._entry is not None and self._depth == self._entry_depth + 1:
            if self._field is not None:
                self._entry.setdefault(self._field, "".join(self._text).strip())
            self._field = None
        self._depth -= 1

    def _characters(self, text: str) -> None:
        if self._field is not None and self._text_chars <= _MAX_TEXT_CHARS:
            self._text.append(text)
            self._text_chars += len(text)

    def _finish_entry(self, entry: dict[str, str]) -> None:
        guid = entry.get("guid", "")
        loc = entry.get("loc") or (guid if guid.startswith(("http://", "https://")) else "")
        if not loc:
            self._parser.note("an entry without a location is left out", f"<{self._entry_kind}>")
        elif len(loc) > _MAX_TEXT_CHARS:
            self._parser.note(f"a location of over {_MAX_TEXT_CHARS} characters is left out", loc)
        elif self._entry_kind == "sitemap":
            self._parser.add_sitemap(loc)
        else:
            lastmod = entry.get("lastmod") or entry.get("published") or None
            self._parser.add(loc, lastmod, self._priority(entry.get("priority")))

    def _priority(self, text: str | None) -> float | None:
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        # Also false for NaN.
        if 0.0 <= value <= 1.0:
            return value
        self._parser.note("a priority that is no number from 0 to 1 is left out", text)
        return None


class _TextReader:
    """One URL a line, UTF-8, or UTF-16 with its mark."""

    def __init__(self, parser: SitemapParser, *, is_utf_16: bool) -> None:
        self._parser = parser
        encoding = "utf-16" if is_utf_16 else "utf-8-sig"
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._rest = ""
        self._prose = 0

    def feed(self, data: bytes, *, is_final: bool) -> None:
        text = self._decoder.decode(data, is_final)
        # A CR LF that two pieces divide makes an empty line, which is none.
        *lines, self._rest = (self._rest + text).replace("\r", "\n").split("\n")
        if is_final:
            lines.append(self._rest)
        elif len(self._rest) > _MAX_TEXT_CHARS:
            self._parser.refuse(
                f"a line of over {_MAX_TEXT_CHARS} characters: the rest is left out"
            )
        for line in lines:
            self._take(line.strip(" \t\x00"))
        if is_final and self._prose and self._parser.sitemap.kind == "unknown":
            self._parser.refuse("neither XML nor a list of URLs")

    def _take(self, line: str) -> None:
        if line[:8].lower().startswith(("http://", "https://")):
            self._parser.sitemap.kind = "text"
            self._parser.add(line)
        elif line:
            # Anything else (prose, binary data) is not a sitemap's line.
            self._parser.note("a line that is no URL is left out", line)
            self._prose += 1
            if self._parser.sitemap.kind == "unknown" and self._prose > _MAX_PROSE_LINES:
                self._parser.refuse("neither XML nor a list of URLs")
