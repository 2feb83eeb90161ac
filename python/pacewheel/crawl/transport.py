"""The connector under the client: where a request departs, and what each phase may take.

Owns one `Flight` for each request: its phase, its deadline, its timings. `PacedConnector.connect`
obtains a connection (checked addresses only), then awaits the flight's `depart` gate, then
returns: aiohttp writes the request's bytes as soon as `connect` has returned, so connection
set-up doesn't blur the pace, and a gate that refuses (`LeaseLost`) closes the connection with
nothing sent.

Every connection counts what it receives for the request under way (`CountingProtocol`), because
what is no body has no limit in aiohttp: interim answers (1xx) at full speed kept its read loop, and
so the whole event loop, for as long as they came (14 s with eight connections, when no timeout
could fire); chunk extensions and one-byte chunks cost most of a core; answers that no request has
asked for, sent to a connection that is kept open, filled 900 MB in 8 s.

The trace hooks `on_connection_create_end` and `on_connection_reuseconn` are awaited at the same
moment and were considered for the gate, but when they raise, aiohttp 3.14 forgets the connection
without closing it.
"""

from __future__ import annotations

import asyncio
import ssl
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pacewheel.crawl.guard import AddressGuard, GuardedResolver

HEAD_BYTES_MAX = 256 * 1024
"""Most bytes of an answer's head, interim answers included; browsers stop there too."""

# An interim answer counts for so much, since aiohttp takes all there are without a pause.
_INTERIM_BYTES = 8 * 1024
# What may come of the body before anybody can say how much of it is wanted.
_BODY_BEGUN_BYTES = 512 * 1024

_DNS_CACHE_HOSTS = 4096
_DNS_CACHE_TTL_S = 60


@dataclass(frozen=True, slots=True)
class PhaseLimits:
    """How long each phase of a request may take, in seconds.

    Attributes:
        connect_s: resolving, connecting and the TLS handshake together.
        first_byte_s: from the departure until the answer's headers are complete.
        total_s: from the departure until the last byte of the body.
    """

    connect_s: float = 10.0
    first_byte_s: float = 20.0
    total_s: float = 60.0


@dataclass(slots=True)
class Timings:
    """What each phase took, in milliseconds; None where there was no such phase.

    `dns_ms` is None for a cached or literal address, `connect_ms` and `tls_ms` for a reused
    connection. `first_byte_ms` and `total_ms` count from the departure, so waiting for the gate
    is in none of them; of a request that failed after it, `total_ms` ends with the failure.
    """

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None

    def as_dict(self) -> dict[str, float]:
        """Return the phases that took place, rounded to 10 us, keyed without the unit."""
        return {
            name: round(value, 2)
            for name, value in (
                ("dns", self.dns_ms),
                ("connect", self.connect_ms),
                ("tls", self.tls_ms),
                ("first_byte", self.first_byte_ms),
                ("total", self.total_ms),
            )
            if value is not None
        }


@dataclass(slots=True)
class Flight:
    """One request on its way, as the connector, the TLS object and the trace hooks see it."""

    depart: Callable[[], Awaitable[None]]
    limits: PhaseLimits
    deadline: asyncio.Timeout
    phase: str = "connecting"
    departed_s: float = 0.0
    dns_started_s: float | None = None
    create_started_s: float | None = None
    tls_started_s: float | None = None
    timings: Timings = field(default_factory=Timings)
    protocol: CountingProtocol | None = None
    is_flooded: bool = False
    """True when the connection was cut because more came than may."""

    def allow_bytes(self, bytes_max: int) -> None:
        """Let so many more bytes come, whatever they are, unless the answer is complete already."""
        if self.protocol is not None and self.protocol.flight is self and not self.is_flooded:
            self.protocol.bytes_left = bytes_max

    def allow_until(self, when_s: float | None) -> None:
        """Move the deadline (loop time), unless it has passed already."""
        if not self.deadline.expired():
            self.deadline.reschedule(when_s)


FLIGHT: ContextVar[Flight] = ContextVar("pacewheel_flight")
"""The flight of the running fetch; connection callbacks inherit it with their context."""


class CountingProtocol(ResponseHandler):
    """aiohttp's protocol, which cuts the connection when more comes than is allowed.

    Nothing may come that no request has asked for: aiohttp would keep it, without a limit, and take
    it for the answer of the next request.
    """

    bytes_left = HEAD_BYTES_MAX
    flight: Flight | None = None
    """Whose answer is coming; nobody's while the connection is set up and between answers."""
    _is_answered = False

    def begin(self, flight: Flight) -> None:
        """Expect the answer of `flight`."""
        self.flight = flight
        self.bytes_left = HEAD_BYTES_MAX
        self._is_answered = False

    def data_received(self, data: bytes) -> None:
        """Count what comes; the piece may hold the end of the head, so it is parsed first."""
        if self.bytes_left < 0:
            return
        self.bytes_left -= len(data)
        if not self._is_answered:
            super().data_received(data)
        if self.bytes_left < 0:
            self._cut()

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a complete head; behind the final one the body follows, and then nothing."""
        message, payload = data
        if self._is_answered:
            self.bytes_left = -1
        elif message.code < 200:
            self.bytes_left -= _INTERIM_BYTES
        else:
            self.bytes_left += _BODY_BEGUN_BYTES
            payload.on_eof(self._end)
        if self.bytes_left >= 0:
            super().feed_data(data, size)

    def _end(self) -> None:
        self.flight = None
        self.bytes_left = 0
        self._is_answered = True

    def _cut(self) -> None:
        if self.flight is not None:
            self.flight.is_flooded = True
        if self.transport is not None:
            self.transport.abort()


class PacedConnector(aiohttp.TCPConnector):
    """A connector that waits for the gate; limits belong to domain and job, so it has none."""

    def __init__(self, guard: AddressGuard, resolver: GuardedResolver, tls: ssl.SSLContext) -> None:
        """Connect only where `guard` permits, with names resolved by `resolver`."""
        tls.sslobject_class = _TimedSSLObject
        super().__init__(
            resolver=resolver,
            ssl=tls,
            limit=0,
            limit_per_host=0,
            dns_cache_max_size=_DNS_CACHE_HOSTS,
            ttl_dns_cache=_DNS_CACHE_TTL_S,
            socket_factory=guard.open_socket,
        )
        # There is no public way to choose the protocol.
        self._factory: Any = partial(CountingProtocol, loop=self._loop)

    async def connect(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        """Return a connection at the moment its request may leave."""
        flight = FLIGHT.get()
        connection = await super().connect(req, traces, timeout)
        try:
            _note_connected(flight)
            flight.phase = "waiting for its turn"
            flight.allow_until(None)
            await flight.depart()
        except BaseException:
            connection.close()
            raise
        flight.protocol = cast("CountingProtocol", connection.protocol)
        flight.protocol.begin(flight)
        flight.departed_s = asyncio.get_running_loop().time()
        flight.phase = "waiting for the answer's headers"
        flight.allow_until(flight.departed_s + flight.limits.first_byte_s)
        return connection


def tls_context() -> ssl.SSLContext:
    """Return a verifying TLS context for HTTP/1.1 (reads the system's certificates: slow)."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def timing_trace() -> aiohttp.TraceConfig:
    """Return the trace configuration that fills in `Timings.dns_ms` and notes new connections."""
    trace = aiohttp.TraceConfig()
    trace.on_dns_resolvehost_start.append(_on_dns_start)
    trace.on_dns_resolvehost_end.append(_on_dns_end)
    trace.on_connection_create_start.append(_on_create_start)
    return trace


class _TimedSSLObject(ssl.SSLObject):
    """Notes when the handshake begins: the only public place between TCP and TLS being up."""

    def do_handshake(self) -> None:
        flight = FLIGHT.get(None)
        if flight is not None and flight.tls_started_s is None:
            flight.tls_started_s = asyncio.get_running_loop().time()
        super().do_handshake()


def _note_connected(flight: Flight) -> None:
    if flight.create_started_s is None:
        return
    now_s = asyncio.get_running_loop().time()
    tls_started_s = flight.tls_started_s
    timings = flight.timings
    if tls_started_s is not None:
        timings.tls_ms = (now_s - tls_started_s) * 1000
    connected_s = now_s if tls_started_s is None else tls_started_s
    timings.connect_ms = (connected_s - flight.create_started_s) * 1000 - (timings.dns_ms or 0.0)


async def _on_dns_start(_session: object, _context: object, _params: object) -> None:
    FLIGHT.get().dns_started_s = asyncio.get_running_loop().time()


async def _on_dns_end(_session: object, _context: object, _params: object) -> None:
    flight = FLIGHT.get()
    if flight.dns_started_s is not None:
        flight.timings.dns_ms = (asyncio.get_running_loop().time() - flight.dns_started_s) * 1000


async def _on_create_start(_session: object, _context: object, _params: object) -> None:
    FLIGHT.get().create_started_s = asyncio.get_running_loop().time()
