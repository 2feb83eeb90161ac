"""Content codings, decoded in pieces of bounded size: gzip, deflate, br and zstd.

Owns what `Accept-Encoding` offers and how much memory a decoder may take, because what aiohttp
does by itself is bounded by the piece, not by the window: a zstd body of 6 KB makes its decoder
allocate 128 MB (measured; 64 requests at once would be 8 GB). Here a zstd window is 8 MB at most,
as RFC 9659 demands of senders; a br window is 16 MB and a deflate window 32 KB by their formats.

State lives as long as one answer. The ratio limit is the client's, for all codings alike.

Sources: RFC 9110 section 8.4.1 (gzip, deflate), RFC 7932 (br), RFC 8878 and RFC 9659 (zstd).
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Protocol

import brotli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backports import zstd
elif sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ACCEPT_ENCODING = "gzip, deflate, br, zstd"

_PIECE_BYTES = 64 * 1024
_ZSTD_WINDOW_LOG = 23
# Real bodies have one member; a piece full of empty ones would cost time and give nothing.
_MAX_MEMBERS = 100
_GZIP_FIRST_BYTE = b"\x1f"


class Decoder(Protocol):
    """Decodes one body."""

    is_complete: bool
    """False while the coding's own end has not been seen."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decodes to, in pieces of 64 KiB, 128 KiB at the very most.

        Raises:
            ValueError: the body is not in this coding.
        """


def decoder_of(content_encoding: str) -> Decoder:
    """Return the decoder of a Content-Encoding header; `""` is the body as it is.

    Raises:
        ValueError: a coding that `ACCEPT_ENCODING` does not offer, or several at once.
    """
    coding = content_encoding.strip().lower()
    make = _DECODERS.get(coding)
    if make is None:
        raise ValueError(
            f"content coding {coding[:40]!r} was not asked for: the body is unreadable"
        )
    return make()


class _Identity:
    is_complete = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield data


class _Members:
    """A coding whose bodies may be several streams one after another."""

    def __init__(self) -> None:
        # An answer may name a coding and have no body at all.
        self.is_complete = True
        self._members = 0

    def _count(self) -> None:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise ValueError(f"the body has more than {_MAX_MEMBERS} compressed parts: refused")


class _Zlib(_Members):
    """gzip, or deflate: zlib's format, raw where a sender took the word literally."""

    def __init__(self, wbits: int) -> None:
        super().__init__()
        self._wbits = wbits
        self._stream: zlib._Decompress | None = None
        self._is_over = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        is_full = False
        # After a full piece zlib may hold back some output, although it has taken all input.
        while (data or is_full) and not self._is_over:
            if self._stream is None:
                self._stream = self._begin(data)
                self.is_complete = False
            try:
                piece = self._stream.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise ValueError(f"the body is not what its coding says ({error})") from None
            if piece:
                yield piece
            data = self._stream.unconsumed_tail
            is_full = len(piece) == _PIECE_BYTES and not self._stream.eof
            if self._stream.eof:
                self.is_complete = True
                data = self._stream.unused_data
                self._stream = None
                # What follows the end and begins no further member is padding.
                self._is_over = bool(data) and data[:1] != _GZIP_FIRST_BYTE

    def _begin(self, data: bytes) -> zlib._Decompress:
        self._count()
        is_raw = self._wbits == zlib.MAX_WBITS and data[0] & 0x0F != zlib.DEFLATED
        return zlib.decompressobj(-self._wbits if is_raw else self._wbits)


class _Zstd(_Members):
    def __init__(self) -> None:
        super().__init__()
        self._stream: zstd.ZstdDecompressor | None = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data or (self._stream is not None and not self._stream.needs_input):
            if self._stream is None:
                self._count()
                limit = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG}
                self._stream = zstd.ZstdDecompressor(options=limit)
                self.is_complete = False
            try:
                piece = self._stream.decompress(data, _PIECE_BYTES)
            except zstd.ZstdError as error:
                raise ValueError(f"the body is not what its coding says ({error})") from None
            data = b""
            if piece:
                yield piece
            if self._stream.eof:
                self.is_complete = True
                data = self._stream.unused_data
                self._stream = None


class _Brotli:
    def __init__(self) -> None:
        self.is_complete = True
        self._stream = brotli.Decompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        piece = b""
        # Only an empty piece tells that nothing is left to give.
        while (data or piece or not stream.can_accept_more_data()) and not stream.is_finished():
            try:
                piece = stream.process(data, output_buffer_limit=_PIECE_BYTES)
            except brotli.error as error:
                raise ValueError(f"the body is not what its coding says ({error})") from None
            data = b""
            self.is_complete = stream.is_finished()
            if piece:
                yield piece


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "": _Identity,
    "identity": _Identity,
    "gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "x-gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "br": _Brotli,
    "zstd": _Zstd,
}
