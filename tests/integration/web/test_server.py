"""The server's life: its port, its pages, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest

from pacewheel import Config, Engine
from pacewheel.errors import ConfigInvalid
from pacewheel.web import WebServer, server
from tests.integration.web.conftest import TOKEN, served, web_config
from tests.own_server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


async def test_a_port_that_is_asked_for_is_that_one_or_an_error(taken: int) -> None:
    """Said with what to do; nothing is left open."""
    web = WebServer(Engine(config=Config(http_port=taken)))
    with pytest.raises(ConfigInvalid, match=rf"http_port={taken} is taken .* --http-port"):
        await web.start()
    assert web.address is None
    await web.stop()


async def test_without_a_number_the_first_free_port_is_taken(
    taken: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The next one if it is taken, and none, with a warning, if all are: the work matters more."""
    monkeypatch.setattr(server, "FIRST_PORT", taken)
    async with WebServer(Engine()) as web:
        assert web.address is not None
        assert taken < web.address[1] < taken + server.PORTS
    monkeypatch.setattr(server, "PORTS", 1)
    with caplog.at_level(logging.WARNING):
        async with WebServer(Engine()) as web:
            assert web.address is None
    assert "are taken; give --http-port" in caplog.text


async def test_port_0_is_no_server() -> None:
    """Nothing listens."""
    async with WebServer(Engine(config=Config(http_port=0))) as web:
        assert web.address is None


async def test_an_address_that_is_not_ours_is_an_error() -> None:
    """As a port is."""
    config = Config(http_host="192.0.2.1", http_token=TOKEN, http_port=free_port())
    with pytest.raises(ConfigInvalid, match=r"http_host=192\.0\.2\.1.* can't be listened on"):
        await WebServer(Engine(config=config)).start()


async def test_it_listens_on_ipv6_too() -> None:
    """Its loopback is as good as the other one's."""
    async with WebServer(Engine(config=web_config(http_host="::1"))) as web:
        assert web.address is not None
        url = f"http://[::1]:{web.address[1]}/healthz"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert 200 == response.status


async def test_the_page_and_its_files_are_served() -> None:
    """The page under every name of loopback, its files with their types, and nothing beside them."""
    async with served(Engine(config=web_config())) as client:
        status, headers, page = await client.answer("GET", "/")
        assert (200, "text/html") == (status, headers["Content-Type"].partition(";")[0])
        assert b'<script type="module" src="static/app.js">' in page
        for name, kind in (("app.js", "javascript"), ("css/tokens.css", "css")):
            status, headers, _ = await client.answer("GET", f"/static/{name}")
            assert 200 == status
            assert headers["Content-Type"].partition(";")[0].endswith(f"/{kind}")
            assert "no-cache" == headers["Cache-Control"]
            again = {"If-None-Match": headers["ETag"]}
            assert 304 == (await client.answer("GET", f"/static/{name}", headers=again))[0]
        for path in ("/static/", "/static/../server.py", "/static/..%2fserver.py", "/static/no.js"):
            status, _, body = await client.answer("GET", path)
            assert status in {403, 404}, path
            assert b"import" not in (body if isinstance(body, bytes) else b"")


async def test_an_open_stream_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a request that is never finished."""
    monkeypatch.setattr(server, "SHUTDOWN_S", 0.3)
    async with served(Engine(config=web_config())) as client:
        stream = await client.session.get(client.base + "/api/v1/events")
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        await writer.drain()
        await asyncio.wait_for(client.web.stop(), 60)
        with contextlib.suppress(aiohttp.ClientPayloadError):
            await asyncio.wait_for(stream.content.read(), 60)
        assert stream.connection is None or stream.connection.transport is None
        await asyncio.wait_for(reader.read(), 60)
        writer.close()
