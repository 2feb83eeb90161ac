"""The text of an HTML body: which encoding it is in, as browsers decide it; never an error.

Owns the order in which a page's encoding is looked for: a byte order mark, the Content-Type header,
a `meta` element (or an XML declaration) in the first 1,024 bytes, and UTF-8 where browsers would
guess by the user's language. Labels are those of the Encoding standard, by `webencodings`; no other
codec of Python's is ever used for a site's bytes.

Source: HTML standard, "determining the character encoding"; https://encoding.spec.whatwg.org.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import webencodings

from pacewheel.crawl.html_guard import MAX_HTML_CHARS

if TYPE_CHECKING:
    from webencodings import Encoding

_PRESCAN_BYTES = 1024
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))
_UTF_8 = webencodings.UTF8
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(r"<meta[\s/][^>]*", re.IGNORECASE)
_XML = re.compile(r"\s*<\?xml\s[^>]*?encoding\s*=\s*([\"'])([^\"'>]+)\1", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s;,\"'/>]+))", re.IGNORECASE)


def decode_html(body: bytes, content_type: str) -> str:
    """Return the text of `body`, which came with this Content-Type header, or `""`.

    What is no character of the encoding becomes U+FFFD. Only what `html_guard` looks at is decoded.
    """
    body = body[: 2 * MAX_HTML_CHARS]
    for bom, label in _BOMS:
        if body.startswith(bom):
            return _decode(body[len(bom) :], webencodings.lookup(label) or _UTF_8)
    encoding = _named(content_type) or _declared(body[:_PRESCAN_BYTES].decode("latin-1"))
    return _decode(body, encoding or _UTF_8)


def _decode(body: bytes, encoding: Encoding) -> str:
    text: str = encoding.codec_info.decode(body, "replace")[0]
    return text


def _named(text: str) -> Encoding | None:
    """Return the encoding that `charset=` in `text` names."""
    match = _CHARSET.search(text)
    if match is None:
        return None
    return _lookup(match[1] or match[2] or match[3] or "")


def _lookup(label: str) -> Encoding | None:
    # A header may hold bytes that are no text at all.
    return webencodings.lookup(label) if label.isascii() else None


def _declared(head: str) -> Encoding | None:
    """Return the encoding that the page itself names; one without ASCII in it can't be meant."""
    for tag in _META.findall(_COMMENT.sub("", head)):
        encoding = _named(tag)
        if encoding is not None:
            return _ascii_compatible(encoding)
    return declared_by_xml(head)[1]


def declared_by_xml(head: str) -> tuple[str, Encoding | None]:
    """Return the label in the XML declaration at the beginning of `head`, and what it stands for.

    One without ASCII in it can't be meant. `""` without a label; None if it stands for nothing.
    """
    xml = _XML.match(head)
    if xml is None:
        return "", None
    encoding = _lookup(xml[2])
    return xml[2], None if encoding is None else _ascii_compatible(encoding)


def _ascii_compatible(encoding: Encoding) -> Encoding | None:
    if encoding.name in ("utf-16be", "utf-16le"):
        return _UTF_8
    if encoding.name == "x-user-defined":
        return webencodings.lookup("windows-1252")
    return encoding
