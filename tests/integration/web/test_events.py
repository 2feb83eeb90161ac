"""The stream of events: one look for all who watch, none for nobody, and slow readers cost nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel.web import clients, events
from tests.conftest import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from pacewheel import Engine
    from tests.integration.web.conftest import Client


class Stream:
    """The events of one watcher."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> tuple[dict[str, str], Any]:
        """The fields of the next event, and its data as JSON."""
        fields: dict[str, str] = {}
        while True:
            line = (await self.response.content.readline()).decode()
            assert line, "the stream has ended"
            if line == "\n" and "data" in fields:
                return fields, json.loads(fields["data"])
            if line != "\n":
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value


async def watch(client: Client) -> Stream:
    """Begin to watch."""
    # A line is an overview, which is longer than what the client's reader takes by default.
    response = await client.session.get(client.base + "/api/v1/events", read_bufsize=2**20)
    assert 200 == response.status
    return Stream(response)


def looks(engine: Engine) -> int:
    """How often the live tasks were counted."""
    return sum(engine.metrics.transaction_seconds.counts().get("count_totals", ()))


async def test_overviews_come_about_once_a_second(client: Client) -> None:
    """With the stream's own pause for a reconnect, numbered, each as /overview says it."""
    stream = await watch(client)
    assert "text/event-stream; charset=utf-8" == stream.response.headers["Content-Type"]
    assert "no-store" == stream.response.headers["Cache-Control"]
    first, overview = await stream.next()
    assert ("overview", "3000") == (first["event"], first["retry"])
    second, later = await stream.next()
    assert int(first["id"]) + 1 == int(second["id"])
    # Whatever a busy machine adds.
    at, later_at = (datetime.fromisoformat(each["at"]) for each in (overview, later))
    assert 0.4 < (later_at - at).total_seconds() < 30
    assert set(overview) == set(await client.get("/api/v1/overview"))
    stream.response.close()


async def test_many_watchers_are_one_look_and_nobody_is_none(
    client: Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten streams and as many who poll ask the database no more often than one."""
    monkeypatch.setattr("pacewheel.web.watch.WATCHED_S", 0.3)
    monkeypatch.setattr("pacewheel.web.watch.FRESH_S", 0.5)
    before, number = looks(engine), client.web.watch.number
    began_s = asyncio.get_running_loop().time()
    streams = [await watch(client) for _ in range(10)]
    for _ in range(2):
        await asyncio.gather(*(stream.next() for stream in streams))
        await asyncio.gather(*(client.get("/api/v1/overview") for _ in range(10)))
    passed_s = asyncio.get_running_loop().time() - began_s
    assert looks(engine) - before <= passed_s / 0.9 + 2
    assert client.web.watch.number - number <= passed_s / 0.15 + 2
    for stream in streams:
        stream.response.close()
    watched = client.web.watch
    await until(lambda: watched.watchers == 0)
    # Who polled is taken for a watcher for a while.
    watched._asked_s = float("-inf")
    number, before = watched.number, looks(engine)
    monkeypatch.setattr("pacewheel.web.watch.UNWATCHED_S", 600.0)
    await asyncio.sleep(1.0)
    # One may have been under way.
    assert looks(engine) <= before + 1
    assert watched.number <= number + 1
    # The next one who looks is not made to wait for the next quiet look, in ten minutes.
    await asyncio.wait_for(client.get("/api/v1/overview"), 60)
    assert watched.number > number


async def test_more_watchers_than_may_are_told_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When one leaves there is room again."""
    monkeypatch.setattr(events, "WATCHERS_MAX", 2)
    streams = [await watch(client) for _ in range(2)]
    code, message = await client.refused("/api/v1/events", 503)
    assert ("too_many_watchers", True) == (code, message.startswith("2 watch this process"))
    streams[0].response.close()
    await until(lambda: client.web.watch.watchers == 1)
    (await watch(client)).response.close()
    streams[1].response.close()


async def raw(client: Client, request: bytes) -> socket.socket:
    """A connection with a small window that has sent this and reads nothing."""
    loop = asyncio.get_running_loop()
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await loop.sock_connect(connection, ("127.0.0.1", client.port))
    await loop.sock_sendall(connection, request)
    return connection


async def test_a_watcher_that_reads_nothing_is_cut_off_and_holds_nobody_up(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is bounded by the socket's buffers; others get theirs meanwhile."""
    monkeypatch.setattr(events, "STALLED_S", 1.0)
    stalled = await raw(client, b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    watched = client.web.watch
    await until(lambda: watched.watchers == 1)
    # Overviews so large that the kernel's buffers are soon full.
    make = watched._look

    async def look(*, is_watched: bool) -> None:
        await make(is_watched=is_watched)
        watched.latest_json = watched.latest_json[:-1] + b',"much":"' + b"x" * 2_000_000 + b'"}'

    monkeypatch.setattr(watched, "_look", look)
    monkeypatch.setattr("pacewheel.web.watch.WATCHED_S", 0.1)
    response = await client.session.get(client.base + "/api/v1/events", read_bufsize=2**22)
    stream = Stream(response)
    seen = 0

    async def read() -> AsyncIterator[None]:
        while True:
            await stream.next()
            yield

    async for _ in read():
        seen += 1
        if watched.watchers == 1:
            break
    assert seen > 2
    stream.response.close()
    stalled.close()


@pytest.mark.parametrize(
    "request_",
    [b"", b"GET /healthz HTTP/1.1\r\nHost: local"],
    ids=["nothing", "half a head"],
)
async def test_a_connection_that_asks_nothing_is_closed(
    client: Client, monkeypatch: pytest.MonkeyPatch, request_: bytes
) -> None:
    """However slowly it sends what never becomes a request."""
    monkeypatch.setattr(clients, "LOOK_S", 0.05)
    silent = await raw(client, request_)
    received = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(silent, 100), 60)
    assert b"" == received
    silent.close()


async def test_a_client_that_takes_no_answers_is_cut_off(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for more than the buffers hold, and reads none of it."""
    monkeypatch.setattr(clients, "LOOK_S", 0.05)
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    greedy = await raw(client, 50 * request)
    await until(lambda: client.web.connections == 1)
    await until(lambda: client.web.connections == 0)
    greedy.close()


async def test_connections_are_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than may be is closed at once; those that are there go on."""
    monkeypatch.setattr(clients, "CONNECTIONS_MAX", 1)
    await client.get("/healthz")
    other = await raw(client, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionResetError):
        assert b"" == await asyncio.wait_for(loop.sock_recv(other, 100), 60)
    other.close()
    await client.get("/healthz")
