"""The guarded client against real, mostly hostile servers on loopback sockets."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc

import pytest

from pacewheel.crawl.client import FetchFailed
from pacewheel.crawl.transport import PhaseLimits
from pacewheel.errors import LeaseLost
from tests.loopback_server import Exchange, Server, client_of, fetch, hello, serving


async def test_fetch_returns_status_headers_body_and_timings() -> None:
    """Defaults: one GET, its answer, what each phase took."""
    async with serving(hello) as server, client_of() as client:
        answer = await fetch(client, server.url + "a%7Eb?x='1'#frag")
    assert answer.status == 200
    assert answer.body == b"<p>hello</p>"
    assert answer.headers["content-type"] == "text/html"
    assert (12, 12, False) == (answer.bytes_received, answer.bytes_decoded, answer.truncated)
    assert {"connect", "first_byte", "total"} == set(answer.timings.as_dict())
    head = server.requests[0]
    assert head.startswith(b"GET /a%7Eb?x=%271%27 HTTP/1.1\r\n")
    assert b"User-Agent: pacewheel-test/1\r\n" in head
    assert b"Accept-Encoding: gzip, deflate\r\n" in head
    assert b"ookie" not in head


async def test_a_kept_alive_connection_that_is_reset_sees_exactly_one_request() -> None:
    """Lesson 56: the library's silent repetition is off."""

    async def reset_second(server: Server, exchange: Exchange) -> None:
        if len(server.requests) == 1:
            await hello(server, exchange)
        else:
            exchange.reset()

    departures = 0

    async def depart() -> None:
        nonlocal departures
        departures += 1

    async with serving(reset_second) as server, client_of() as client:
        await fetch(client, server.url, depart=depart)
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url, depart=depart)
        await asyncio.sleep(0.1)  # a repetition would come at once
        assert (2, 1, 2) == (len(server.requests), server.connections, departures)
    assert failed.value.error_class == "connect"
    assert failed.value.is_transient


async def test_a_kept_alive_connection_that_is_closed_sees_exactly_one_request() -> None:
    """The same for an orderly close instead of an answer."""

    async def close_second(server: Server, exchange: Exchange) -> None:
        if len(server.requests) == 1:
            await hello(server, exchange)
        else:
            exchange.writer.close()

    async with serving(close_second) as server, client_of() as client:
        await fetch(client, server.url)
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
        await asyncio.sleep(0.1)  # a repetition would come at once
        assert 2 == len(server.requests)
    assert failed.value.error_class == "connect"


async def test_the_request_leaves_only_after_the_gate_has_opened() -> None:
    """The connection is set up before the gate, the bytes are sent after it, first and reused."""
    async with serving(hello) as server, client_of() as client:
        for _ in range(2):
            gate, waiting = asyncio.Event(), asyncio.Event()

            async def depart(gate: asyncio.Event = gate, waiting: asyncio.Event = waiting) -> None:
                waiting.set()
                await gate.wait()

            server.arrived.clear()
            fetching = asyncio.create_task(fetch(client, server.url, depart=depart))
            await asyncio.wait_for(waiting.wait(), 2)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(server.arrived.wait(), 0.6)  # longer than first_byte_s
            assert 1 == server.connections  # set up before the gate, kept for the second round
            gate.set()
            answer = await asyncio.wait_for(fetching, 2)
            assert answer.status == 200
            assert answer.timings.total_ms is not None
            assert answer.timings.total_ms < 400
        assert 1 == server.connections


async def test_a_gate_that_refuses_sends_nothing_and_closes_the_connection() -> None:
    """LeaseLost is passed on unchanged; no connection is leaked."""
    closed = asyncio.Event()

    async def refuse() -> None:
        raise LeaseLost("not ours")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"" == await reader.read()
        writer.close()
        closed.set()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with client_of() as client:
        with pytest.raises(LeaseLost, match="not ours"):
            await fetch(client, f"http://127.0.0.1:{port}/", depart=refuse)
        await asyncio.wait_for(closed.wait(), 2)
    listener.close()


async def test_redirects_are_not_followed() -> None:
    """A 302 is an answer like any other."""

    async def redirect(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"", "302 Found", Location="/elsewhere")

    async with serving(redirect) as server, client_of() as client:
        answer = await fetch(client, server.url)
        assert 1 == len(server.requests)
    assert (302, "/elsewhere") == (answer.status, answer.headers["Location"])


async def test_cookies_are_neither_kept_nor_sent() -> None:
    """A Set-Cookie has no effect on the next request."""

    async def cookie(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"", Set_Cookie="a=b; Path=/")

    async with serving(cookie) as server, client_of() as client:
        await fetch(client, server.url)
        await fetch(client, server.url)
        assert b"ookie" not in server.requests[1]


@pytest.mark.parametrize("phase", ["head", "body"])
async def test_a_dripping_server_times_out(phase: str) -> None:
    """Bytes that trickle don't extend the deadline, neither in the headers nor in the body."""

    async def drip(_server: Server, exchange: Exchange) -> None:
        if phase == "body":
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        else:
            await exchange.send(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(200):
            await exchange.send(b"x")
            await asyncio.sleep(0.02)

    async with serving(drip) as server, client_of() as client:
        started = asyncio.get_running_loop().time()
        with pytest.raises(FetchFailed, match="body" if phase == "body" else "headers") as failed:
            await fetch(client, server.url)
        assert asyncio.get_running_loop().time() - started < 2
    assert ("timeout", True) == (failed.value.error_class, failed.value.is_transient)


async def test_a_server_that_never_answers_times_out() -> None:
    """The request is read and nothing comes."""

    async def silence(_server: Server, _exchange: Exchange) -> None:
        await asyncio.sleep(5)

    async with serving(silence) as server, client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
        assert 1 == len(server.requests)
    assert failed.value.error_class == "timeout"


@pytest.mark.parametrize("shape", ["many", "long"])
async def test_endless_headers_are_refused(shape: str) -> None:
    """Neither their number nor the length of one is unbounded."""

    async def endless(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n" + (b"X: " if shape == "long" else b""))
        while True:
            await exchange.send(b"y" * 4096 if shape == "long" else b"X-More: 1\r\n" * 100)

    limits = PhaseLimits(first_byte_s=5, total_s=10)
    async with serving(endless) as server, client_of(limits) as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
    assert ("protocol", False) == (failed.value.error_class, failed.value.is_transient)


async def test_garbage_instead_of_http_is_a_protocol_failure() -> None:
    """What is not HTTP is named so."""

    async def garbage(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"220 mail.example ESMTP\r\n")

    async with serving(garbage) as server, client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
    assert failed.value.error_class == "protocol"


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_a_huge_body_is_cut_and_memory_stays_bounded(*, is_wanted: bool) -> None:
    """The server offers 200 MB; what is kept is max_bytes, or nothing."""

    async def huge(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        for _ in range(3000):
            await exchange.send(b"x" * 65536)

    limits = PhaseLimits(first_byte_s=5, total_s=20)
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


async def test_a_gzip_bomb_is_refused() -> None:
    """100 MB of zeros in 100 KB: refused soon after the first megabyte."""
    bomb = gzip.compress(b"\0" * 100_000_000, 9)

    async def send_bomb(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(bomb, Content_Encoding="gzip")

    limits = PhaseLimits(first_byte_s=5, total_s=20)
    async with serving(send_bomb) as server, client_of(limits) as client:
        tracemalloc.start()
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url, max_bytes=200_000_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert ("too_large", False) == (failed.value.error_class, failed.value.is_transient)
    assert peak < 30_000_000


async def test_a_compressed_body_is_decoded_and_counted_both_ways() -> None:
    """`bytes_received` is what crossed the wire."""
    page = b"<p>text</p>" * 1000
    packed = gzip.compress(page)

    async def send(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(packed, Content_Encoding="gzip")

    async with serving(send) as server, client_of() as client:
        answer = await fetch(client, server.url)
    assert page == answer.body
    assert (len(packed), len(page)) == (answer.bytes_received, answer.bytes_decoded)


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


async def test_many_requests_run_at_once() -> None:
    """Lesson 55: the library holds nothing back (its default limit would be 100)."""
    everybody = asyncio.Event()

    async def wait_for_all(server: Server, exchange: Exchange) -> None:
        if len(server.requests) == 150:
            everybody.set()
        await everybody.wait()
        await exchange.answer(b"")

    limits = PhaseLimits(connect_s=10, first_byte_s=10, total_s=10)
    async with serving(wait_for_all) as server, client_of(limits) as client:
        fetches = [fetch(client, f"{server.url}{number}") for number in range(150)]
        answers = await asyncio.wait_for(asyncio.gather(*fetches), 15)
    assert {200} == {answer.status for answer in answers}


async def test_cancelling_a_fetch_leaves_no_connection_behind() -> None:
    """The engine's deadline cancels handlers."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reading.set()
        await reader.read()
        gone.set()
        writer.close()

    reading = asyncio.Event()
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with client_of(PhaseLimits()) as client:
        fetching = asyncio.create_task(fetch(client, f"http://127.0.0.1:{port}/"))
        await asyncio.wait_for(reading.wait(), 2)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        await asyncio.wait_for(gone.wait(), 2)
    listener.close()
