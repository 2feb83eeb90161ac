"""A scripted HTTP server on loopback, and the guarded client that tests point at it."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pacewheel.crawl import urls
from pacewheel.crawl.client import GuardedClient, Response
from pacewheel.crawl.guard import AddressGuard
from pacewheel.crawl.transport import PhaseLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Script = Callable[["Server", "Exchange"], Awaitable[None]]


LOOPBACK = AddressGuard([ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")])


# No test waits for them, however slow the machine.
PATIENT = PhaseLimits(connect_s=60, first_byte_s=60, total_s=120)


class Exchange:
    """One request as the server sees it, and the way to answer it."""

    def __init__(self, head: bytes, connection: int, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self.connection = connection
        self.writer = writer

    @property
    def path(self) -> str:
        """The request target."""
        return self.head.split(b" ")[1].decode()

    async def send(self, data: bytes) -> None:
        """Write and flush."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, status: str = "200 OK", **headers: str) -> None:
        """Send a whole response."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Abort the connection with RST."""
        self.writer.transport.abort()


class Server:
    """A loopback server that runs a script for each request and counts what it sees."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.requests: list[bytes] = []
        self.arrived = asyncio.Event()
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        """The server's root."""
        return f"http://127.0.0.1:{self.port}/"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        self.connections += 1
        connection = self.connections
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(head)
                self.arrived.set()
                await self._script(self, Exchange(head, connection, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run a server for the test."""
    server = Server(script)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


@asynccontextmanager
async def client_of(limits: PhaseLimits = PATIENT) -> AsyncIterator[GuardedClient]:
    """A client that may connect to loopback."""
    async with GuardedClient(LOOPBACK, limits=limits) as client:
        yield client


async def go() -> None:
    """A gate that is open."""


async def fetch(client: GuardedClient, url: str, **how: object) -> Response:
    """Fetch with an open gate."""
    options: dict[str, object] = {"depart": go, "user_agent": "pacewheel-test/1", **how}
    return await client.fetch(urls.parse(url), **options)  # type: ignore[arg-type]  # any


async def hello(_server: Server, exchange: Exchange) -> None:
    """Answer every request with a small page."""
    await exchange.answer(b"<p>hello</p>", Content_Type="text/html")
