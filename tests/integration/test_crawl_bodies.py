"""What bodies cost and become: sizes, codings, bombs, from real servers on loopback sockets."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from functools import partial

import brotli
import pytest

from pacewheel.crawl.client import FetchFailed
from pacewheel.crawl.transport import PhaseLimits
from tests.loopback_server import Exchange, Server, client_of, fetch, serving

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_a_huge_body_is_cut_and_memory_stays_bounded(*, is_wanted: bool) -> None:
    """The server offers 200 MB; what is kept is max_bytes, or nothing."""

    async def huge(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        for _ in range(3000):
            await exchange.send(b"x" * 65536)

    limits = PhaseLimits(first_byte_s=60, total_s=120)
    async with serving(huge) as server, client_of(limits) as client:
        tracemalloc.start()
        answer = await fetch(
            client, server.url, max_bytes=3_000_000, want_body=lambda _status, _headers: is_wanted
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (3_000_000, True) == (answer.bytes_decoded, answer.truncated)
    assert (3_000_000 if is_wanted else 0) == len(answer.body)
    assert peak < (12_000_000 if is_wanted else 3_000_000)


ZEROS = bytes(100_000_000)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_a_bomb_in_any_coding_is_refused(coding: str) -> None:
    """100 MB of zeros in some KB: refused soon after the first megabyte, with bounded memory."""
    bomb = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        # The least effort that still makes 150 bytes of them.
        "br": partial(brotli.compress, quality=3),
        "zstd": zstd.compress,
    }[coding](ZEROS)

    async def send_bomb(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(bomb, Content_Encoding=coding)

    limits = PhaseLimits(first_byte_s=60, total_s=120)
    async with serving(send_bomb) as server, client_of(limits) as client:
        tracemalloc.start()
        with pytest.raises(FetchFailed, match="bomb") as failed:
            await fetch(client, server.url, max_bytes=200_000_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert ("too_large", False) == (failed.value.error_class, failed.value.is_transient)
    assert peak < 25_000_000


async def test_a_zstd_body_that_needs_a_huge_window_is_refused() -> None:
    """Some KB that would make the decoder allocate 128 MB."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    body = packer.compress(b"<p>hello</p>") + packer.flush()

    async def send(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(body, Content_Encoding="zstd")

    async with serving(send) as server, client_of() as client:
        with pytest.raises(FetchFailed, match="too much memory") as failed:
            await fetch(client, server.url)
    assert ("protocol", False) == (failed.value.error_class, failed.value.is_transient)


async def test_compressed_bytes_that_decode_to_nothing_are_bounded_too() -> None:
    """`max_bytes` counts on the wire as well: empty deflate blocks without end."""
    empty_blocks = zlib.compressobj(wbits=-zlib.MAX_WBITS).flush(zlib.Z_FULL_FLUSH) * 10_000

    async def send(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n")
        for _ in range(1000):
            await exchange.send(empty_blocks)

    limits = PhaseLimits(first_byte_s=60, total_s=120)
    async with serving(send) as server, client_of(limits) as client:
        answer = await fetch(client, server.url, max_bytes=300_000)
    assert (b"", True) == (answer.body, answer.truncated)
    assert answer.bytes_received < 1_000_000


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_a_compressed_body_is_decoded_and_counted_both_ways(coding: str) -> None:
    """`bytes_received` is what crossed the wire."""
    page = b"<p>text</p>" * 1000
    packed = {"gzip": gzip, "deflate": zlib, "br": brotli, "zstd": zstd}[coding].compress(page)

    async def send(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(packed, Content_Encoding=coding)

    async with serving(send) as server, client_of() as client:
        answer = await fetch(client, server.url)
    assert page == answer.body
    assert (len(packed), len(page)) == (answer.bytes_received, answer.bytes_decoded)


@pytest.mark.parametrize(
    ("coding", "body", "is_transient"),
    [("gzip", b"plain", False), ("gzip", gzip.compress(b"x")[:-6], True), ("lzma", b"x", False)],
)
async def test_an_undecodable_body_fails_only_where_it_is_wanted(
    coding: str, body: bytes, *, is_transient: bool
) -> None:
    """Not what it claims, cut inside, a coding nobody asked for; what is dropped is never read."""

    async def send(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(body, Content_Encoding=coding)

    async with serving(send) as server, client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
        answer = await fetch(client, server.url, want_body=lambda _status, _headers: False)
    assert ("protocol", is_transient) == (failed.value.error_class, failed.value.is_transient)
    assert (b"", len(body)) == (answer.body, answer.bytes_received)


async def test_a_body_that_ends_early_is_a_transient_failure() -> None:
    """Half a page is no page."""

    async def half(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        exchange.writer.close()

    async with serving(half) as server, client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
    assert ("protocol", True) == (failed.value.error_class, failed.value.is_transient)


async def test_an_answer_without_a_body_is_complete() -> None:
    """204 has neither body nor length."""

    async def nothing(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(nothing) as server, client_of() as client:
        answer = await fetch(client, server.url)
    assert (204, b"", 0) == (answer.status, answer.body, answer.bytes_received)


async def test_the_feed_gets_the_body_in_pieces_and_may_stop_it() -> None:
    """Nothing is kept when a feed takes the body."""
    pieces: list[bytes] = []

    async def send(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"x" * 500_000)

    async def feed(piece: bytes) -> bool:
        pieces.append(piece)
        return sum(map(len, pieces)) < 100_000

    async with serving(send) as server, client_of() as client:
        answer = await fetch(client, server.url, feed=feed)
    assert (b"", True) == (answer.body, answer.truncated)
    assert 100_000 <= sum(map(len, pieces)) < 400_000
