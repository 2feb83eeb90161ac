"""Which encoding a page is in: the order of the HTML standard, the labels of the Encoding standard."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webencodings.labels import LABELS

from pacewheel.crawl.charset import decode_html

BYTES = random.Random(7).randbytes(3000)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("ü".encode(), "text/html", "ü"),
        ("ü".encode("cp1252"), "text/html; charset=ISO-8859-1", "ü"),
        ("€".encode("cp1252"), "text/html; charset=latin1", "€"),
        ("€".encode("cp1252"), "text/html; charset = us-ascii ; a=b", "€"),
        ("я".encode("koi8-r"), 'text/html; charset="KOI8-R"', "я"),
        ("я".encode("koi8-r"), "text/html; charset=koi", "я"),
        ("я".encode("cp1251"), "text/html; Charset='x-cp1251'", "я"),
        ("あ".encode("cp932"), "text/html; charset=x-sjis", "あ"),
        ("あ".encode("euc-jp"), "text/html; charset=x-euc-jp", "あ"),
        ("漢".encode("gb18030"), "text/html; charset=gb_2312-80", "漢"),
        ("한".encode("cp949"), "text/html; charset=ks_c_5601-1987", "한"),
        ("ü".encode("utf-16le"), "text/html; charset=utf-16", "ü"),
        ("ü".encode("utf-8-sig"), "text/html; charset=windows-1251", "ü"),
        (b"\xfe\xff" + "ü".encode("utf-16be"), "text/html; charset=utf-8", "ü"),
        (b"\xff\xfe" + "ü".encode("utf-16le"), "", "ü"),
        (b"\xff", "text/html; charset=utf-8", "\ufffd"),
        (b"abc", "text/html; charset=rot13", "abc"),
        (b"abc", "text/html; charset=unicode_escape", "abc"),
        (b"+AGE-", "text/html; charset=utf-7", "+AGE-"),
        (b"abc", "text/html; charset=iso-8859-99", "abc"),
        (b"abc", "text/html; charset=\udcff", "abc"),
        (b"abc", "text/html; charset=", "abc"),
        (b"", "", ""),
    ],
)
def test_a_mark_wins_over_the_header(body: bytes, content_type: str, text: str) -> None:
    """Labels as browsers know them; no codec but those of the web."""
    assert text == decode_html(body, content_type)


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="windows-1251">', "cp1251"),
        ("<META CHARSET=windows-1251/>", "cp1251"),
        ("<meta http-equiv=content-type content='text/html; charset=koi8-r'>", "koi8-r"),
        ("<!-- <meta charset=koi8-r> --><meta charset=windows-1251>", "cp1251"),
        ("<meta charset=no-such><meta charset=windows-1251>", "cp1251"),
        ("<p>charset=koi8-r</p>", "utf-8"),
        ("<!-- <meta charset=koi8-r>", "utf-8"),
        ("<metadata charset=koi8-r>", "utf-8"),
        ("<meta charset=utf-16>", "utf-8"),
        ("<meta charset=x-user-defined>", "cp1252"),
        ('<?xml version="1.0" encoding="windows-1251"?>', "cp1251"),
        (" " * 1100 + "<meta charset=koi8-r>", "utf-8"),
    ],
)
def test_without_either_the_page_names_its_encoding(head: str, encoding: str) -> None:
    """In its first 1,024 bytes; a header that names one wins."""
    letter = "ü" if encoding == "cp1252" else "я"
    body = (head + letter).encode(encoding)
    assert head + letter == decode_html(body, "text/html")
    assert decode_html(body, "text/html; charset=iso-8859-5") == body.decode("iso-8859-5")


@pytest.mark.parametrize("label", sorted(LABELS))
def test_every_label_of_the_standard_decodes_any_bytes(label: str) -> None:
    """However wrong the label is."""
    assert decode_html(BYTES, f"text/html; charset={label}")
    assert decode_html(b"<a href=/x>", f"text/html; charset={label}")


@given(st.binary(max_size=300), st.text(max_size=60))
def test_nothing_that_a_site_sends_is_an_error(body: bytes, content_type: str) -> None:
    """Neither in the header nor in the body."""
    decode_html(body, content_type)
    decode_html(body, "text/html; charset=" + content_type)
    decode_html(b"<meta charset=" + content_type.encode("utf-8", "replace") + b">" + body, "")
