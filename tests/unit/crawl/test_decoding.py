"""Content codings decoded in pieces: what servers send, what they get wrong, and bombs."""

from __future__ import annotations

import gzip
import random
import sys
import zlib

import brotli
import pytest

from pacewheel.crawl.decoding import ACCEPT_ENCODING, decoder_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PAGE = random.Random(4).randbytes(50_000).hex().encode() * 3


def raw_deflate(data: bytes) -> bytes:
    """Deflate without zlib's header, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def zstd_of_window(data: bytes, window_log: int) -> bytes:
    """A frame that doesn't say its size and asks for such a window."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": gzip.compress(PAGE),
    "x-gzip": gzip.compress(PAGE),
    "GZIP ": gzip.compress(PAGE),
    "deflate": zlib.compress(PAGE),
    "br": brotli.compress(PAGE),
    "zstd": zstd.compress(PAGE),
    "identity": PAGE,
    "": PAGE,
}


def decode(coding: str, data: bytes, size: int = 1 << 20) -> tuple[list[bytes], bool]:
    """Decode `data`, given in pieces of `size`; return the pieces and whether it was complete."""
    decoder = decoder_of(coding)
    pieces = [
        piece
        for start in range(0, len(data), size)
        for piece in decoder.pieces(data[start : start + size])
    ]
    return pieces, decoder.is_complete


def test_each_coding_offered_has_a_decoder() -> None:
    """What Accept-Encoding says is what can be read."""
    for coding in ACCEPT_ENCODING.split(", "):
        assert coding in PACKED
        decoder_of(coding)


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
@pytest.mark.parametrize("coding", sorted(PACKED))
def test_a_body_is_the_same_however_it_was_cut(coding: str, size: int) -> None:
    """Byte by byte, in pieces, whole."""
    data = PACKED[coding][:6000] if size == 1 else PACKED[coding]
    pieces, is_complete = decode(coding, data, size)
    if size == 1:
        whole, _ = decode(coding, data)
        assert b"".join(whole) == b"".join(pieces)
    else:
        assert (PAGE, True) == (b"".join(pieces), is_complete)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_no_piece_is_large_and_the_end_is_seen(coding: str) -> None:
    """20 MB of zeros come 64 KiB at a time (br: twice that at the most)."""
    zeros = bytes(20_000_000)
    bomb = {
        "gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress,
        "zstd": zstd.compress,
    }[coding](zeros)  # fmt: skip
    pieces, is_complete = decode(coding, bomb)
    assert (len(zeros), True) == (sum(map(len, pieces)), is_complete)
    assert max(map(len, pieces)) <= 128 * 1024


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "br", "zstd"])
def test_bodies_that_end_about_the_end_of_a_piece_are_given_whole(coding: str) -> None:
    """A decoder may have taken all of its input and still hold back output (raw deflate does)."""
    packer = {
        "gzip": gzip.compress, "deflate": zlib.compress, "raw deflate": raw_deflate,
        "br": brotli.compress, "zstd": zstd.compress,
    }[coding]  # fmt: skip
    for size in (*range(65_530, 65_545), *range(131_060, 131_360, 7), 196_608, 196_609):
        pieces, is_complete = decode(coding.removeprefix("raw "), packer(bytes(size)))
        assert (size, True) == (sum(map(len, pieces)), is_complete)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_cut_body_is_known_to_be_cut(coding: str) -> None:
    """Its beginning is given; nothing at all is no cut."""
    pieces, is_complete = decode(coding, PACKED[coding][:-20])
    assert not is_complete
    assert PAGE.startswith(b"".join(pieces))
    assert ([], True) == decode(coding, b"")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_not_what_it_claims_is_refused(coding: str) -> None:
    """Plain text, labelled as compressed."""
    with pytest.raises(ValueError, match="not what its coding says"):
        decode(coding, b"<!doctype html>\xff\xfe<p>plain" * 50)


@pytest.mark.parametrize("coding", ["compress", "gzip, br", "gzip, gzip", "x" * 500])
def test_codings_that_nobody_asked_for_are_refused(coding: str) -> None:
    """One line, whatever the header holds."""
    with pytest.raises(ValueError, match="not asked for") as refused:
        decoder_of(coding)
    assert len(str(refused.value)) < 150


def test_deflate_may_lack_its_header() -> None:
    """RFC 9110, 8.4.1.2: some send the raw stream."""
    assert PAGE == b"".join(decode("deflate", raw_deflate(PAGE), 1000)[0])


@pytest.mark.parametrize("size", [3, 1 << 20])
@pytest.mark.parametrize("padding", [b"", bytes(10), b"junk"])
def test_gzip_may_have_several_members_and_padding(padding: bytes, size: int) -> None:
    """As log rotation and some servers write it."""
    data = gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"b") + padding
    pieces, is_complete = decode("gzip", data, size)
    assert (b"ab", True) == (b"".join(pieces), is_complete)


def test_zstd_may_have_several_frames() -> None:
    """RFC 8878, 3.1."""
    pieces, is_complete = decode("zstd", zstd.compress(b"a") + zstd.compress(b"b"), 3)
    assert (b"ab", True) == (b"".join(pieces), is_complete)


@pytest.mark.parametrize("member", [gzip.compress(b""), zstd.compress(b"")])
def test_very_many_members_are_refused(member: bytes) -> None:
    """A body of empty ones would cost time for ever and give nothing."""
    coding = "gzip" if member[0] == 0x1F else "zstd"
    with pytest.raises(ValueError, match="more than 100"):
        decode(coding, member * 101)


def test_a_zstd_window_beyond_eight_megabytes_is_refused() -> None:
    """RFC 9659; 128 MB would be allocated for each body otherwise."""
    assert decode("zstd", zstd_of_window(bytes(9_000_000), 23))[1]
    with pytest.raises(ValueError, match="too much memory"):
        decode("zstd", zstd_of_window(bytes(9_000_000), 24))
