"""A TCP proxy before PostgreSQL that can do to LISTEN what networks and poolers do.

It speaks just enough of the protocol to know which connection listens, and to answer in the
server's place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import parse_qs, urlsplit

CHUNK_BYTES = 65_536
LISTEN = b'LISTEN "pacewheel"'
ELSEWHERE = b'LISTEN "elsewhere"'
REFUSAL = b"SERROR\0VERROR\0C0A000\0MLISTEN is not supported here\0\0"
ERROR_RESPONSE = b"E" + (len(REFUSAL) + 4).to_bytes(4) + REFUSAL
READY_FOR_QUERY = b"Z\0\0\0\5I"


class Relay:
    """One connection through the proxy."""

    def __init__(self) -> None:
        self.listens = False
        self.frozen = False
        """Drop what comes, either way, and close nothing: a peer that is gone without a word."""


class PostgresProxy:
    """Passes everything on, but for what it is told to do to those who listen."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._host = query.get("host") or parts.hostname or ""
        self._server_port = int(query.get("port") or parts.port or 5432)
        self._login = parts.netloc.rpartition("@")[0]
        self._path = parts.path
        self.port = 0
        self.relays: list[Relay] = []
        self.listening: Literal["passed", "refused", "deaf"] = "passed"
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_away = False

    @property
    def dsn(self) -> str:
        """The database through the proxy."""
        return f"postgresql://{self._login}@127.0.0.1:{self.port}{self._path}?sslmode=disable"

    def freeze(self) -> int:
        """Freeze the connections that listen; return how many."""
        frozen = [relay for relay in self.relays if relay.listens and not relay.frozen]
        for relay in frozen:
            relay.frozen = True
        return len(frozen)

    def go_away(self) -> None:
        """Cut all connections, and every new one."""
        self._is_away = True
        for task in self._tasks:
            task.cancel()

    def come_back(self) -> None:
        """Relay new connections again."""
        self._is_away = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection until either side ends it."""
        if self._is_away:
            writer.close()
            return
        if self._host.startswith("/"):
            path = f"{self._host}/.s.PGSQL.{self._server_port}"
            server_reader, server_writer = await asyncio.open_unix_connection(path)
        else:
            server_reader, server_writer = await asyncio.open_connection(
                self._host, self._server_port
            )
        relay = Relay()
        self.relays.append(relay)
        try:
            await asyncio.wait(
                {
                    self._start(self._up(relay, reader, server_writer, writer)),
                    self._start(self._down(relay, server_reader, writer)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self.relays.remove(relay)
            writer.close()
            server_writer.close()

    def _start(self, pump: object) -> asyncio.Task[None]:
        task = asyncio.create_task(pump)  # type: ignore[arg-type]  # a coroutine
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _up(
        self,
        relay: Relay,
        reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if relay.frozen:
                    continue
                if LISTEN in data:
                    relay.listens = True
                    if self.listening == "refused":
                        client.write(ERROR_RESPONSE + READY_FOR_QUERY)
                        continue
                    if self.listening == "deaf":
                        data = data.replace(LISTEN, ELSEWHERE)
                server.write(data)
                await server.drain()

    @staticmethod
    async def _down(
        relay: Relay, reader: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if not relay.frozen:
                    client.write(data)
                    await client.drain()


@asynccontextmanager
async def proxy_to(dsn: str) -> AsyncIterator[PostgresProxy]:
    """Run a proxy for the test."""
    proxy = PostgresProxy(dsn)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
