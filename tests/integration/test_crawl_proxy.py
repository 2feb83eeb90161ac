"""Requests through an HTTP proxy: who resolves, what is still refused, and what stays secret."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from pacewheel.crawl.client import FetchFailed, GuardedClient
from pacewheel.crawl.guard import AddressGuard
from tests.loopback_server import LOOPBACK, PATIENT, Exchange, Server, fetch, hello, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PASSWORD = "p4ssword"


async def no_lookup(host: str, _port: int) -> list[str]:
    """Nobody but the proxy resolves a site's name."""
    assert host == "proxy.example"
    return ["127.0.0.1"]


@asynccontextmanager
async def client_through(
    port: int, guard: AddressGuard | None = None
) -> AsyncIterator[GuardedClient]:
    """A client of the proxy that listens on this port."""
    proxy = f"http://user:{PASSWORD}@proxy.example:{port}"
    async with GuardedClient(guard, limits=PATIENT, lookup=no_lookup, proxy=proxy) as client:
        yield client


async def test_a_request_goes_to_the_proxy_with_the_whole_url_and_the_credentials() -> None:
    """Its own address needs no --allow-network; the connection is reused; each has its departure."""
    departures = 0

    async def depart() -> None:
        nonlocal departures
        departures += 1

    async with serving(hello) as proxy, client_through(proxy.port) as client:
        for _ in range(2):
            answer = await fetch(client, "http://site.example/a?b", depart=depart)
        assert (1, 2, 2) == (proxy.connections, len(proxy.requests), departures)
    assert 200 == answer.status
    token = base64.b64encode(f"user:{PASSWORD}".encode())
    for head in proxy.requests:
        assert head.startswith(b"GET http://site.example/a?b HTTP/1.1\r\nHost: site.example\r\n")
        assert b"Proxy-Authorization: Basic " + token in head


async def test_an_https_request_is_tunnelled_and_a_refusal_is_the_proxys() -> None:
    """CONNECT carries the credentials, the site's name and nothing of the request."""

    async def refuse(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"", "403 Forbidden")

    departures = 0

    async def depart() -> None:
        nonlocal departures
        departures += 1

    async with serving(refuse) as proxy, client_through(proxy.port) as client:
        with pytest.raises(FetchFailed, match="proxy answered 403") as failed:
            await fetch(client, "https://site.example/secret", depart=depart)
    (head,) = proxy.requests
    assert head.startswith(b"CONNECT site.example:443 HTTP/1.1\r\n")
    assert b"secret" not in head
    assert 0 == departures
    assert ("connect", True) == (failed.value.error_class, failed.value.is_transient)
    assert PASSWORD not in repr(failed.value.__cause__) + str(failed.value)


async def test_credentials_that_the_proxy_refuses_are_no_answer_of_the_site() -> None:
    """407 would count as a missing page otherwise."""

    async def refuse(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"", "407 Proxy Authentication Required")

    async with serving(refuse) as proxy, client_through(proxy.port) as client:
        with pytest.raises(FetchFailed, match="setting proxy") as failed:
            await fetch(client, "http://site.example/")
    assert ("connect", True) == (failed.value.error_class, failed.value.is_transient)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest",
        "http://[::ffff:10.0.0.1]/",
        "http://0x7f.1/",
        "http://localhost/",
        "http://a.localhost./",
        "http://site.example:25/",
    ],
)
async def test_literal_addresses_and_ports_are_refused_before_the_proxy_is_asked(
    target: str,
) -> None:
    """What the name of a site resolves to only the proxy knows; these need no resolving."""
    async with serving(hello) as proxy, client_through(proxy.port) as client:
        with pytest.raises(FetchFailed, match="--allow-network") as failed:
            await fetch(client, target)
        assert 0 == proxy.connections
    assert ("refused", False) == (failed.value.error_class, failed.value.is_transient)


async def test_an_allowed_network_is_allowed_through_the_proxy_too() -> None:
    """The same exceptions as without one."""
    async with serving(hello) as proxy, client_through(proxy.port, LOOPBACK) as client:
        answer = await fetch(client, "http://127.0.0.1:81/")
    assert 200 == answer.status


async def test_a_proxy_that_is_away_is_a_connect_failure_without_its_password() -> None:
    """Transient: the breaker counts it."""
    listener = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    async with client_through(port) as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, "http://site.example/")
    assert ("connect", True) == (failed.value.error_class, failed.value.is_transient)
    assert PASSWORD not in repr(failed.value.__cause__) + str(failed.value)


async def test_without_the_setting_no_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxies are others' settings."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with serving(hello) as server, GuardedClient(LOOPBACK, limits=PATIENT) as client:
        answer = await fetch(client, server.url)
    assert 200 == answer.status
