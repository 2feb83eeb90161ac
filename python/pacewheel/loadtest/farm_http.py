"""The farm's HTTP/1.1 server: one asyncio.Protocol a connection, as lean as the clock demands.

Owns the sockets of one site. It takes the arrival time before anything else, asks
``farm_answers`` what to say, logs, and writes the answer when its latency has passed. Requests of
one connection are answered in order; one request is read at a time. GET and HEAD only, heads up
to 16 KiB, no bodies.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Final, cast

from pacewheel.loadtest.farm_log import Arrival, ArrivalLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.loadtest.farm_answers import Answer, SiteAnswers

HEAD_BYTES_MAX: Final = 16_384
DRIP_PIECE_BYTES: Final = 64
DRIP_INTERVAL_S: Final = 0.2
# What begins and what then comes without end, for as long as somebody reads it.
ENDLESS: Final = {
    "slow-headers": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "endless-headers": (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n" * 5_000),
    "endless-hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1_000),
    "endless-body": (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<main>",
        b'<a href="/x">x</a> ' * 3_000,
    ),
    "endless-chunk": (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"a=b;" * 15_000,
    ),
    "huge-cookies": (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n"
        + b"".join(b"Set-Cookie: c%d=%s\r\n" % (n, b"c" * 16_000) for n in range(150))
        + b"\r\n",
        b"",
    ),
}


class SiteServer:
    """One listening site: shared by its connections, it counts what is in flight."""

    def __init__(self, answers: SiteAnswers, log: ArrivalLog) -> None:
        """Serve the answers of one site and log its arrivals."""
        self.answers = answers
        self.log = log
        self.in_flight = 0
        self.connections: set[SiteConnection] = set()
        self.connection_ids: Iterator[int] = count(1)
        self._listener: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Open the listening socket; returns the port. Raises OSError if it is in use."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: SiteConnection(self), host, port, backlog=512
        )
        return cast("int", self._listener.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._listener is not None:
            self._listener.close()
        for connection in tuple(self.connections):
            connection.abort()


class SiteConnection(asyncio.Protocol):
    """One connection: collects a request head, waits out the latency, answers, goes on."""

    def __init__(self, server: SiteServer) -> None:
        """Belong to a site; the transport comes with ``connection_made``."""
        self._server = server
        self._id = next(server.connection_ids)
        self._buffer = b""
        self._pending: asyncio.TimerHandle | None = None
        self._busy = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; an unanswered request is in flight no longer."""
        del exc
        self._server.connections.discard(self)
        self._transport = None
        if self._pending is not None:
            self._pending.cancel()
        self._settle()

    def data_received(self, data: bytes) -> None:
        """Take the time, then see whether a request is complete."""
        now_ns = time.monotonic_ns()
        self._buffer += data
        if not self._busy:
            self._read_request(now_ns)

    def abort(self) -> None:
        """Cut the connection without another byte."""
        if self._transport is not None:
            self._transport.abort()

    def _read_request(self, now_ns: int) -> None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            if len(self._buffer) > HEAD_BYTES_MAX:
                self.abort()
            return
        self._buffer = rest
        request_line, _, header_block = head.decode("latin-1").partition("\r\n")
        words = request_line.split(" ")
        if len(words) != 3 or words[0] not in {"GET", "HEAD"} or not words[1].startswith("/"):
            self._write(
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            self._close()
            return
        method, path, version = words
        headers = _parse_headers(header_block)
        answer = self._server.answers.answer(path, now_ns)
        self._begin(now_ns, method, path, headers.get("user-agent", ""), answer)
        close = version == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
        self._pending = asyncio.get_running_loop().call_later(
            answer.latency_ms / 1_000,
            lambda: self._respond(answer, with_body=method == "GET", close=close),
        )

    def _begin(self, now_ns: int, method: str, path: str, user_agent: str, answer: Answer) -> None:
        server = self._server
        self._busy = True
        server.in_flight += 1
        server.log.record(
            Arrival(
                now_ns,
                server.answers.site.spec.name,
                method,
                path,
                answer.status,
                server.in_flight,
                self._id,
                user_agent,
                answer.latency_ms,
                answer.retry_after_s,
                answer.early,
            )
        )

    def _respond(self, answer: Answer, *, with_body: bool, close: bool) -> None:
        if answer.hostile == "never":
            return
        if answer.hostile == "close":
            self.abort()
            return
        if answer.hostile in ENDLESS:
            first, again = ENDLESS[answer.hostile]
            self._write(first)
            self._stream(again)
            return
        reason = HTTPStatus(answer.status).phrase
        lines = [
            f"HTTP/1.1 {answer.status} {reason}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
            *(["Connection: close"] if close else []),
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if answer.hostile == "drip" and with_body:
            self._drip(head + answer.body)
            return
        self._write(head + answer.body if with_body else head)
        self._settle()
        if close:
            self._close()
        elif self._buffer:
            self._read_request(time.monotonic_ns())

    def _drip(self, rest: bytes) -> None:
        self._write(rest[:DRIP_PIECE_BYTES])
        if len(rest) <= DRIP_PIECE_BYTES:
            self._settle()
            self._close()
            return
        self._pending = asyncio.get_running_loop().call_later(
            DRIP_INTERVAL_S, self._drip, rest[DRIP_PIECE_BYTES:]
        )

    def _stream(self, piece: bytes) -> None:
        """Send a piece again and again, never more than the reader takes."""
        if self._transport is None or not piece:
            self._settle()
            self._close()
            return
        if self._transport.get_write_buffer_size() == 0:
            self._write(piece)
        pause_s = DRIP_INTERVAL_S if len(piece) == 1 else 0.001
        self._pending = asyncio.get_running_loop().call_later(pause_s, self._stream, piece)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _settle(self) -> None:
        if self._busy:
            self._busy = False
            self._server.in_flight -= 1


def _parse_headers(block: str) -> dict[str, str]:
    """Header names in lower case to their values."""
    pairs = (line.partition(":") for line in block.split("\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
