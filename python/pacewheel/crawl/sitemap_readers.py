"""The formats of sitemap files: XML (urlset, index, RSS, Atom) and text.

Owns how locations are found in them. XML is read by expat, streamed: entity declarations end the
reading, so nothing is expanded, and nothing external is ever loaded. A file that is not well-formed
is read on from the next entry. A tag or comment that does not end is given up after a megabyte.
Expat gets UTF-8 whatever the file is in: UTF-16 is known by its mark or its first character, other
encodings by their declaration, with the labels of the Encoding standard.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin
from xml.parsers import expat

import webencodings

from pacewheel.crawl.charset import declared_by_xml

if TYPE_CHECKING:
    from pacewheel.crawl.sitemap_found import Findings

_MAX_TEXT_CHARS = 8 * 1024
_MAX_TOKEN_BYTES = 1024 * 1024
_MAX_XML_DEPTH = 64
_MAX_NAMES = 10_000
_MAX_BREAKS = 1000
# Expat compares each attribute that a DTD declares with all of its element's before it.
_MAX_DECLARATIONS = 1000
# Each relative link of a feed is resolved against it.
_MAX_BASE_CHARS = 1024
# A text that has not brought a URL by then is no sitemap.
_MAX_PROSE_LINES = 100

_UTF_16 = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\x00": "utf-16-le",
    b"\x00<": "utf-16-be",
}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
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


class Reader(Protocol):
    """Reads one format."""

    def feed(self, data: bytes, *, is_final: bool) -> None:
        """Read the next piece, adding what it brings to the findings.

        Raises:
            EnoughError: no more is wanted.
        """


def reader_for(head: bytes, findings: Findings) -> Reader:
    """Return the reader of a file that begins with `head`."""
    utf_16 = _UTF_16.get(head[:2])
    text = head if utf_16 is None else head.decode(utf_16, "replace").encode()
    if text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or _ROOT_TAG.search(text) is not None:
        return _XmlReader(findings, _decoder_for(head, findings))
    return _TextReader(findings, utf_16 or "utf-8-sig")


def _decoder_for(head: bytes, findings: Findings) -> codecs.IncrementalDecoder | None:
    """Return what decodes an XML file that begins with `head`, None if it is UTF-8 already."""
    utf_16 = _UTF_16.get(head[:2])
    if utf_16 is not None:
        return codecs.getincrementaldecoder(utf_16)("replace")
    label, encoding = declared_by_xml(head.decode("latin-1"))
    # What is not ASCII behind the last of these is UTF-8 if anything.
    if label.lower() in ("", "utf-8", "us-ascii"):
        return None
    if encoding is None:
        # URLs are ASCII, so whatever the encoding is, they can be read.
        findings.note("an encoding is not known: read as ISO-8859-1", label)
        encoding = webencodings.lookup("iso-8859-1")
    assert encoding is not None
    return None if encoding.name == "utf-8" else encoding.codec_info.incrementaldecoder("replace")


class _XmlReader:
    """Goes by local names, so that wrong namespaces don't matter."""

    def __init__(self, findings: Findings, decoder: codecs.IncrementalDecoder | None) -> None:
        self._findings = findings
        self._decoder = decoder
        self._root: str | None = None
        self._depth = 0
        self._entry: dict[str, str] | None = None
        self._entry_kind = ""
        self._entry_depth = 0
        self._field: str | None = None
        self._text: list[str] = []
        self._text_chars = 0
        # What `xml:base` says, each with the depth of its element.
        self._bases: list[tuple[int, str]] = []
        self._declarations = 0
        self._breaks = 0
        # Behind a break: what may be the beginning of the tag from which reading goes on.
        self._tail: bytes | None = None
        self._fed = 0
        self._expat = self._fresh()

    def feed(self, data: bytes, *, is_final: bool) -> None:
        if self._decoder is not None:
            data = self._decoder.decode(data, is_final).encode()
        if data:
            self._read(data, is_final=False)
        if is_final:
            self._read(b"", is_final=True)

    def _read(self, data: bytes, *, is_final: bool) -> None:
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
                    self._findings.note("the file ends early", str(error))
                    return
                data = self._after_break(data, error)
            else:
                return

    def _parse(self, data: bytes, *, is_final: bool) -> None:
        self._fed += len(data)
        self._expat.Parse(data, is_final)
        # Expat keeps every name it has met: 830 MB for 50 MB of them.
        if len(self._expat.intern) > _MAX_NAMES:
            self._findings.refuse(f"more than {_MAX_NAMES} different names: the rest is left out")
        # Expat looks at an unfinished token again with every piece.
        if self._fed - self._expat.CurrentByteIndex > _MAX_TOKEN_BYTES:
            self._findings.refuse("a tag or comment does not end: the rest is left out")

    def _after_break(self, data: bytes, error: expat.ExpatError) -> bytes:
        """Return what is behind the error, where reading may go on from the next entry."""
        self._breaks += 1
        if self._breaks > _MAX_BREAKS:
            self._findings.refuse(f"not well-formed ({error}): the rest is left out")
        self._findings.note("not well-formed: left out up to the next entry", str(error))
        self._tail = b""
        begun = self._fed - len(data)
        # Perhaps at an entry's tag, which is no error behind the root's.
        return data[max(self._expat.ErrorByteIndex - begun, 0) :]

    def _resume(self) -> None:
        self._tail = None
        self._depth = 0
        self._entry = None
        self._field = None
        self._bases = [each for each in self._bases if each[0] == 1]
        self._fed = 0
        self._expat = self._fresh()
        if self._root is not None:
            self._parse(f"<{self._root}>".encode(), is_final=False)

    def _fresh(self) -> expat.XMLParserType:
        reading = expat.ParserCreate("utf-8")
        reading.buffer_text = True
        reading.StartDoctypeDeclHandler = self._doctype
        reading.EntityDeclHandler = self._entity
        reading.AttlistDeclHandler = self._declared_attribute
        reading.SkippedEntityHandler = self._skipped
        reading.StartElementHandler = self._start
        reading.EndElementHandler = self._end
        reading.CharacterDataHandler = self._characters
        return reading

    def _doctype(self, _name: str, system_id: str | None, *_more: object) -> None:
        if system_id is not None:
            self._findings.note("an external DTD is not read", system_id)

    def _entity(self, *_declaration: object) -> None:
        self._findings.refuse("declares entities: refused, the rest is left out")

    def _declared_attribute(self, *_declaration: object) -> None:
        self._declarations += 1
        if self._declarations > _MAX_DECLARATIONS:
            self._findings.refuse(
                f"declares more than {_MAX_DECLARATIONS} attributes: the rest is left out"
            )

    def _skipped(self, name: str, _is_parameter: bool) -> None:  # noqa: FBT001 - expat calls it so
        self._findings.note("an entity that is not known is left out", f"&{name};")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_XML_DEPTH:
            self._findings.refuse("nested too deeply: the rest is left out")
        prefix, _, local = name.lower().rpartition(":")
        if "xml:base" in attributes:
            self._bases.append((self._depth, self._based(attributes["xml:base"].strip())))
        if self._depth == 1:
            self._begin(name, local)
        elif self._entry is None:
            if local in _ENTRIES[self._findings.sitemap.kind]:
                self._entry = {}
                self._entry_kind = local
                self._entry_depth = self._depth
            elif local == "loc" and prefix not in _EXTENSIONS:
                self._findings.note("a location outside of an entry is left out", f"<{name}>")
        elif self._depth == self._entry_depth + 1 and prefix not in _EXTENSIONS:
            # An image or video extension has a `loc` of its own, under another prefix.
            self._begin_field(prefix, local, attributes)

    def _begin(self, name: str, local: str) -> None:
        kind = _KINDS.get(local)
        if kind is None:
            self._findings.refuse(
                f"the root element is {local[:40]!r}: no urlset, sitemapindex, rss or feed"
            )
        elif self._root is None:
            self._root = name
            self._findings.sitemap.kind = kind

    def _begin_field(self, prefix: str, local: str, attributes: dict[str, str]) -> None:
        assert self._entry is not None
        if local == "link" and "href" in attributes:
            # Atom: of an entry's links the one to the page itself, not to a feed or an enclosure.
            if self._entry_kind == "entry" and attributes.get("rel", "alternate") == "alternate":
                self._keep("loc", self._based(attributes["href"].strip()))
        elif local == "guid" and attributes.get("isPermaLink", "true").lower() != "true":
            return
        elif local in _FIELDS and (local != "link" or not prefix):
            self._field = _FIELDS[local]
            self._text.clear()
            self._text_chars = 0

    def _end(self, _name: str) -> None:
        if self._bases and self._bases[-1][0] == self._depth:
            self._bases.pop()
        if self._entry is not None and self._depth == self._entry_depth:
            self._finish_entry(self._entry)
            self._entry = None
        elif self._entry is not None and self._depth == self._entry_depth + 1:
            if self._field is not None:
                self._keep(self._field, "".join(self._text).strip())
            self._field = None
        self._depth -= 1

    def _keep(self, name: str, text: str) -> None:
        assert self._entry is not None
        if len(text) > _MAX_TEXT_CHARS:
            self._findings.note(f"a {name} of over {_MAX_TEXT_CHARS} characters is left out", text)
        elif name == "loc" and "\ufffd" in text:
            self._findings.note("a location with bytes of another encoding is left out", text)
        elif name == "loc" and name in self._entry:
            self._findings.note("a further location of an entry is left out", text)
        elif text:
            self._entry.setdefault(name, text)

    def _based(self, reference: str) -> str:
        """Return a reference resolved against the `xml:base` in force (RFC 4287 section 2)."""
        if not self._bases or _SCHEME.match(reference):
            return reference
        base = self._bases[-1][1]
        try:
            if len(base) <= _MAX_BASE_CHARS:
                return urljoin(base, reference)
        except ValueError:
            pass
        self._findings.note("a link with a base that can't be used is left out", reference)
        return ""

    def _characters(self, text: str) -> None:
        if self._field is not None and self._text_chars <= _MAX_TEXT_CHARS:
            self._text.append(text)
            self._text_chars += len(text)

    def _finish_entry(self, entry: dict[str, str]) -> None:
        guid = entry.get("guid", "")
        loc = entry.get("loc") or (guid if guid.startswith(("http://", "https://")) else "")
        if not loc:
            self._findings.note("an entry without a location is left out", f"<{self._entry_kind}>")
        elif self._entry_kind == "sitemap":
            self._findings.add_sitemap(loc)
        else:
            lastmod = entry.get("lastmod") or entry.get("published") or None
            self._findings.add(loc, lastmod, self._priority(entry.get("priority")))

    def _priority(self, text: str | None) -> float | None:
        if not text:
            return None
        try:
            # Python reads `0_1`, too.
            value = -1.0 if "_" in text else float(text)
        except ValueError:
            value = -1.0
        # Also false for NaN.
        if 0.0 <= value <= 1.0:
            return value
        self._findings.note("a priority that is no number from 0 to 1 is left out", text)
        return None


class _TextReader:
    """One URL a line, UTF-8, or UTF-16 with its mark."""

    def __init__(self, findings: Findings, encoding: str) -> None:
        self._findings = findings
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
            self._findings.refuse(
                f"a line of over {_MAX_TEXT_CHARS} characters: the rest is left out"
            )
        for line in lines:
            self._take(line.strip(" \t\x00"))
        if is_final and self._prose and self._findings.sitemap.kind == "unknown":
            self._findings.refuse("neither XML nor a list of URLs")

    def _take(self, line: str) -> None:
        if line[:8].lower().startswith(("http://", "https://")):
            self._findings.sitemap.kind = "text"
            if "\ufffd" in line:
                self._findings.note("a line that is no UTF-8 is left out", line)
            else:
                self._findings.add(line)
        elif line:
            # Anything else (prose, binary data) is not a sitemap's line.
            self._findings.note("a line that is no URL is left out", line)
            self._prose += 1
            if self._findings.sitemap.kind == "unknown" and self._prose > _MAX_PROSE_LINES:
                self._findings.refuse("neither XML nor a list of URLs")
