"""The guarded client against real, mostly hostile servers on loopback sockets."""

from __future__ import annotations

import asyncio
import time

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
    assert b"Accept-Encoding: gzip, deflate, br, zstd\r\n" in head
    assert b"ookie" not in head


async def test_what_is_requested_is_the_url_to_the_letter() -> None:
    """With an empty query too, whose path robots.txt may disallow on its own (`Disallow: /a$`)."""
    targets = ["/a?", "/a??", "/a/?#frag", "/a//b?x=/../y&;@:|", "/a%2f%7e"]
    async with serving(hello) as server, client_of() as client:
        for target in targets:
            await fetch(client, server.url + target[1:])
    asked = [head.split(b" ")[1].decode() for head in server.requests]
    assert [target.partition("#")[0] for target in targets] == asked


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
    limits = PhaseLimits(connect_s=60, first_byte_s=1.0, total_s=2.0)
    async with serving(hello) as server, client_of(limits) as client:
        for shut_s in (1.2, 0.1):
            gate, waiting = asyncio.Event(), asyncio.Event()

            async def depart(gate: asyncio.Event = gate, waiting: asyncio.Event = waiting) -> None:
                waiting.set()
                await gate.wait()

            server.arrived.clear()
            began_s = time.monotonic()
            fetching = asyncio.create_task(fetch(client, server.url, depart=depart))
            await asyncio.wait_for(waiting.wait(), 60)
            with pytest.raises(TimeoutError):
                # At first for longer than an answer may take.
                await asyncio.wait_for(server.arrived.wait(), shut_s)
            assert 1 == server.connections  # set up before the gate, kept for the second round
            gate.set()
            answer = await asyncio.wait_for(fetching, 60)
            assert answer.status == 200
            assert answer.timings.total_ms is not None
            # The time before the gate is no part of it.
            assert answer.timings.total_ms / 1000 < time.monotonic() - began_s - 0.9 * shut_s
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
        await asyncio.wait_for(closed.wait(), 60)
    listener.close()


async def test_a_connection_that_is_closed_before_the_gate_opens_is_named_so() -> None:
    """The slot is used up, so nothing is sent on another one."""
    closed = asyncio.Event()

    async def close_soon(server: Server, exchange: Exchange) -> None:
        await hello(server, exchange)
        await closed.wait()
        exchange.writer.close()

    async def depart() -> None:
        closed.set()
        await asyncio.sleep(0.2)  # longer than the news of it takes

    async with serving(close_soon) as server, client_of() as client:
        await fetch(client, server.url)
        with pytest.raises(FetchFailed, match="closed the connection before the request") as failed:
            await fetch(client, server.url, depart=depart)
        assert (1, 1) == (len(server.requests), server.connections)
    assert ("connect", True) == (failed.value.error_class, failed.value.is_transient)


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
        for _ in range(10_000):
            await exchange.send(b"x")
            await asyncio.sleep(0.02)

    limits = {
        "head": PhaseLimits(connect_s=60, first_byte_s=0.4, total_s=120),
        "body": PhaseLimits(connect_s=60, first_byte_s=60, total_s=0.6),
    }
    async with serving(drip) as server, client_of(limits[phase]) as client:
        with pytest.raises(FetchFailed, match="body" if phase == "body" else "headers") as failed:
            await asyncio.wait_for(fetch(client, server.url), 60)
    assert ("timeout", True) == (failed.value.error_class, failed.value.is_transient)


async def test_a_server_that_never_answers_times_out() -> None:
    """The request is read and nothing comes."""

    async def silence(_server: Server, _exchange: Exchange) -> None:
        await asyncio.sleep(3600)

    limits = PhaseLimits(connect_s=60, first_byte_s=0.4, total_s=120)
    async with serving(silence) as server, client_of(limits) as client:
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


FLOODS = {
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1000),
    "long interim answers": (
        b"",
        b"HTTP/1.1 103 Early Hints\r\nLink: <" + b"x" * 16_000 + b">\r\n\r\n",
    ),
    "empty lines": (b"", b"\r\n" * 30_000),
    "cookies": (b"HTTP/1.1 200 OK\r\n", b"Set-Cookie: a=" + b"c" * 16_000 + b"\r\n"),
    "a chunk extension": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"a=b;" * 15_000,
    ),
    "a chunk size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 60_000),
}


@pytest.mark.parametrize("what", FLOODS)
async def test_a_flood_of_what_is_no_body_is_cut_long_before_the_deadline(what: str) -> None:
    """Aiohttp has no limit there, and its loop over interim answers lets no timeout fire."""
    first, again = FLOODS[what]

    async def flood(_server: Server, exchange: Exchange) -> None:
        await exchange.send(first)
        while True:
            await exchange.send(again)

    limits = PhaseLimits(connect_s=5, first_byte_s=60, total_s=60)
    async with serving(flood) as server, client_of(limits) as client:
        with pytest.raises(FetchFailed) as failed:
            await asyncio.wait_for(fetch(client, server.url, max_bytes=100_000), 60)
    assert not failed.value.is_transient
    assert failed.value.error_class in ("too_large", "protocol")


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold"


@pytest.mark.parametrize("when", ["at once", "later"])
async def test_answers_that_nobody_asked_for_end_the_connection(when: str) -> None:
    """Aiohttp keeps them all, and takes the first for the next request's."""
    cut = asyncio.Event()

    async def flood(server: Server, exchange: Exchange) -> None:
        if len(server.requests) > 1:
            await hello(server, exchange)
            return
        await exchange.send(ANSWER * (2 if when == "at once" else 1))
        if when == "later":
            await asyncio.sleep(0.1)  # the connection is kept open by then
        try:
            while True:
                await exchange.send(ANSWER * 1000)
        except ConnectionError:
            cut.set()
            raise

    async with serving(flood) as server, client_of() as client:
        assert b"old" == (await fetch(client, server.url)).body
        await asyncio.wait_for(cut.wait(), 60)
        assert b"<p>hello</p>" == (await fetch(client, server.url)).body
        assert 2 == server.connections


async def test_some_interim_answers_and_a_head_in_two_parts_are_no_flood() -> None:
    """A body that comes with the end of its head counts as a body."""

    async def answer(_server: Server, exchange: Exchange) -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 10
        await exchange.send(hints + b"HTTP/1.1 200 OK\r\nX: " + b"x" * 8000)
        await asyncio.sleep(0.05)
        await exchange.send(b"\r\nContent-Length: 900000\r\n\r\n" + b"y" * 900_000)

    async with serving(answer) as server, client_of() as client:
        for _ in range(2):
            answered = await fetch(client, server.url)
            assert (200, 900_000) == (answered.status, len(answered.body))
        assert 1 == server.connections


async def test_garbage_instead_of_http_is_a_protocol_failure() -> None:
    """What is not HTTP is named so."""

    async def garbage(_server: Server, exchange: Exchange) -> None:
        await exchange.send(b"220 mail.example ESMTP\r\n")

    async with serving(garbage) as server, client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, server.url)
    assert failed.value.error_class == "protocol"


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
        answers = await asyncio.wait_for(asyncio.gather(*fetches), 60)
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
        await asyncio.wait_for(reading.wait(), 60)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        await asyncio.wait_for(gone.wait(), 60)
    listener.close()


async def test_headers_of_the_job_go_along_and_requests_share_a_connection() -> None:
    """Beside our own ones, which they can't replace; read bodies leave the connection open."""
    async with serving(hello) as server, client_of() as client:
        for is_wanted in (True, False, True):
            await fetch(
                client,
                server.url,
                headers={"Authorization": "Bearer x", "X-Env": "a b"},
                want_body=lambda _status, _headers, wanted=is_wanted: wanted,
            )
        assert (1, 3) == (server.connections, len(server.requests))
    for head in server.requests:
        assert b"\r\nAuthorization: Bearer x\r\n" in head
        assert b"\r\nX-Env: a b\r\n" in head
        assert 1 == head.count(b"User-Agent:")
