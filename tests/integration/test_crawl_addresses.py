"""Where the guarded client connects: checked addresses only, over verified TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from pacewheel.crawl.client import FetchFailed, GuardedClient
from pacewheel.crawl.guard import AddressGuard
from pacewheel.crawl.transport import PhaseLimits, tls_context

if TYPE_CHECKING:
    from pathlib import Path


from tests.loopback_server import (
    LOOPBACK,
    PATIENT,
    Exchange,
    Server,
    client_of,
    fetch,
    hello,
    serving,
)


async def test_nothing_listens_is_a_connect_failure() -> None:
    """A refused connection is transient."""
    async with serving(hello) as server:
        port = server.port
    async with client_of() as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, f"http://127.0.0.1:{port}/")
    assert ("connect", True) == (failed.value.error_class, failed.value.is_transient)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f.1", "017700000001", "[::1]", "[::ffff:127.0.0.1]", "0"],
)
async def test_literal_addresses_are_checked_although_nobody_resolves_them(host: str) -> None:
    """Every spelling of loopback is refused before a connection is opened."""
    async with serving(hello) as server, GuardedClient(limits=PATIENT) as client:
        with pytest.raises(FetchFailed, match="--allow-network") as failed:
            await fetch(client, f"http://{host}:{server.port}/")
        assert 0 == server.connections
    assert ("refused", False) == (failed.value.error_class, failed.value.is_transient)


async def test_a_rebinding_name_never_reaches_the_private_address() -> None:
    """Public when first asked, loopback when asked again: both answers are checked."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    async with serving(hello) as server:
        guard = AddressGuard()
        async with GuardedClient(guard, limits=PATIENT, lookup=lookup) as client:
            client._resolver._guard = guard
            addresses = await client._resolver.resolve("rebind.example", 80)
            assert ["93.184.216.34"] == [entry["host"] for entry in addresses]
            with pytest.raises(FetchFailed) as failed:
                await fetch(client, f"http://rebind.example:{server.port}/")
        assert 0 == server.connections
    assert failed.value.error_class == "refused"


async def test_the_checked_address_is_the_one_connected_to() -> None:
    """One look-up, no second one before connecting; the next fetch uses the cache."""
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.1", "127.0.0.1"]

    async def hello_and_close(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"", Connection="close")

    async with (
        serving(hello_and_close) as server,
        GuardedClient(LOOPBACK, limits=PATIENT, lookup=lookup) as client,
    ):
        first = await fetch(client, f"http://two.example:{server.port}/")
        second = await fetch(client, f"http://two.example:{server.port}/")
        assert 2 == server.connections
        assert b"Host: two.example" in server.requests[0]
    assert ["two.example"] == asked
    assert first.timings.dns_ms is not None
    assert second.timings.dns_ms is None


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'a' * 64}.invalid", "a..invalid"])
async def test_a_name_that_does_not_resolve_says_so(host: str) -> None:
    """`.invalid` never resolves (RFC 6761); what can't be a name at all is a URL's host too."""
    async with GuardedClient(limits=PhaseLimits(connect_s=20)) as client:
        with pytest.raises(FetchFailed) as failed:
            await fetch(client, f"http://{host}/")
    assert failed.value.error_class == "dns"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(path) + ".key", "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (path.parent / "both.pem.key").read_bytes())
    return path


async def test_tls_through_a_proxy_is_with_the_site_and_reused(certificate: Path) -> None:
    """The tunnel is opened once; the certificate checked is the site's; the gate opens each time."""
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(certificate)
    trusting = tls_context()
    trusting.load_verify_locations(certificate)
    asked: list[bytes] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        onward = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, onward[1]), pump(onward[0], writer))

    async with serving(hello, server_tls) as server:
        listener = await asyncio.start_server(tunnel, "127.0.0.1", 0)
        proxy = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with GuardedClient(LOOPBACK, proxy=proxy, tls=trusting, limits=PATIENT) as client:
            answers = [await fetch(client, "https://localhost/") for _ in range(2)]
        listener.close()
    assert [200, 200] == [answer.status for answer in answers]
    assert answers[0].timings.tls_ms is not None
    assert answers[1].timings.tls_ms is None
    assert 1 == len(asked)
    assert asked[0].startswith(b"CONNECT localhost:443 HTTP/1.1\r\n")
    assert [b"GET / HTTP/1.1", b"GET / HTTP/1.1"] == [
        h.partition(b"\r")[0] for h in server.requests
    ]


async def test_tls_is_verified_and_timed(certificate: Path) -> None:
    """A trusted certificate works and its handshake is timed; an unknown one is final."""
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(certificate)
    trusting = tls_context()
    trusting.load_verify_locations(certificate)

    async def lookup(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with serving(hello, server_tls) as server:
        url = f"https://localhost:{server.port}/"
        async with GuardedClient(LOOPBACK, lookup=lookup, tls=trusting) as client:
            answer = await fetch(client, url)
        assert answer.timings.tls_ms is not None
        assert answer.timings.connect_ms is not None
        async with GuardedClient(LOOPBACK, lookup=lookup) as client:
            with pytest.raises(FetchFailed) as failed:
                await fetch(client, url)
        assert 1 == len(server.requests)
    assert ("tls", False) == (failed.value.error_class, failed.value.is_transient)
