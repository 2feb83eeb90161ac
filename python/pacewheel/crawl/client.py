"""The one guarded HTTP client: a call makes exactly one request, or raises.

Owns the process's HTTP session. Promises for each `fetch`:

- at most one request reaches the site. Redirects are not followed, and aiohttp's silent
  repetition of an idempotent request whose kept-alive connection was reset
  (`ClientSession._request`, the branch that catches `ClientOSError` and
  `ServerDisconnectedError`) never runs: a client middleware turns those errors into
  `FetchFailed`, which that branch does not catch (lesson 56);
- the request's bytes leave only after `depart` has returned (`transport.PacedConnector`);
- only addresses that `guard.AddressGuard` accepts are connected to;
- memory is bounded whatever the server does: headers by number and size, all that is no body by
  its bytes, the body by `max_bytes`
  (on the wire and decoded), by its decompression ratio and by its decoder's window, time by phase.
  A body longer than `max_bytes` is cut and marked, not an error; one that nobody wants is read and
  dropped as it came.

Cookies, environment proxies and netrc are off. After a crash nothing needs rebuilding.

**Through a proxy** (only one that the operator of the process configures; no job can name one) the
proxy resolves names, so no address can be checked or pinned here: only literal addresses and ports
still are. What such a process can reach is what its proxy lets it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Self

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pacewheel import tracing
from pacewheel.crawl.decoding import ACCEPT_ENCODING, decoder_of
from pacewheel.crawl.guard import AddressGuard, GuardedResolver, Lookup, SocketRefused
from pacewheel.crawl.transport import (
    FLIGHT,
    Flight,
    PacedConnector,
    PhaseLimits,
    Timings,
    timing_trace,
    tls_context,
)
from pacewheel.errors import PacewheelError, TargetRefused

if TYPE_CHECKING:
    from pacewheel.crawl.urls import Url

MAX_BODY_BYTES = 10 * 1024 * 1024

_READ_BYTES = 64 * 1024
# Deflate can't exceed 1,032:1 and real pages stay under about 60:1; small bodies are let off.
_MAX_RATIO = 200
_RATIO_EXEMPT_BYTES = 1024 * 1024
_MAX_HEADERS = 200
_MAX_HEADER_BYTES = 16 * 1024
_FRAMING_BYTES = 1024 * 1024
_PROXY_REFUSES = 407
_CLOSED = "the site closed the connection before the request was sent"
# A proxy's own address is its operator's choice, as a rule a private one.
_ANYWHERE = AddressGuard([ip_network("0.0.0.0/0"), ip_network("::/0")])

_NO_HEADERS: Mapping[str, str] = {}

Headers = CIMultiDictProxy[str]
Depart = Callable[[], Awaitable[None]]
WantBody = Callable[[int, Headers], bool]
Feed = Callable[[bytes], Awaitable[bool]]


class FetchFailed(PacewheelError):
    """The request brought no usable answer.

    Attributes:
        error_class: one of `timeout`, `dns`, `connect`, `tls`, `refused`, `too_large`, `protocol`.
        is_transient: False when another attempt can't help (refused address, bad certificate,
            bomb).
        timings: what the phases took until then.
    """

    def __init__(self, error_class: str, message: str, *, is_transient: bool) -> None:
        """Keep the class word beside the one-line message."""
        super().__init__(message)
        self.error_class = error_class
        self.is_transient = is_transient
        self.timings = Timings()


@dataclass(slots=True)
class Response:
    """One answer.

    Attributes:
        status: the HTTP status.
        headers: case-insensitive multi-dict.
        body: the decoded body, or `b""` when it was not wanted or went to `feed`.
        bytes_received: length of the body on the wire, before decoding.
        bytes_decoded: length of the body after decoding; of one that was not wanted, as received.
        truncated: the body was longer than `max_bytes`, or `feed` asked to stop.
        timings: what each phase took.
    """

    status: int
    headers: Headers
    body: bytes
    bytes_received: int
    bytes_decoded: int
    truncated: bool
    timings: Timings


class GuardedClient:
    """The process's client; create it inside a running loop, `async with` it or `close` it."""

    def __init__(
        self,
        guard: AddressGuard | None = None,
        *,
        limits: PhaseLimits | None = None,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        """Open a session.

        Args:
            guard: which addresses are permitted; by default the public ones.
            limits: time limits by phase.
            lookup: resolves names; by default the operating system's resolver.
            tls: the TLS context; by default the system's certificates, verified.
            proxy: an HTTP proxy for all requests, `http://[user:password@]host:port`.
        """
        self._guard = guard or AddressGuard()
        self._proxy = None if proxy is None else URL(proxy)
        self._limits = limits or PhaseLimits()
        connecting = self._guard if proxy is None else _ANYWHERE
        self._resolver = GuardedResolver(connecting, lookup)
        self._session = aiohttp.ClientSession(
            connector=PacedConnector(connecting, self._resolver, tls or tls_context()),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            # Each phase has its own deadline (`Flight`); aiohttp's timers would run while we wait
            # our turn.
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[timing_trace()],
            middlewares=(_one_attempt,),
            read_bufsize=_READ_BYTES,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
        )

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections and stop the resolver."""
        await self._session.close()
        await self._resolver.close()

    async def fetch(
        self,
        url: Url,
        *,
        depart: Depart,
        user_agent: str,
        accept: str = "*/*",
        headers: Mapping[str, str] = _NO_HEADERS,
        max_bytes: int = MAX_BODY_BYTES,
        want_body: WantBody | None = None,
        feed: Feed | None = None,
    ) -> Response:
        """GET `url` once.

        Args:
            url: what to request; its fragment is not sent.
            depart: awaited right before the request's bytes are sent. What it raises is passed on.
            user_agent: the User-Agent header.
            accept: the Accept header.
            headers: more headers, none of the above nor of the connection's own.
            max_bytes: the body is cut after so many bytes, received or decoded.
            want_body: asked with status and headers; False means that the body is read and dropped.
            feed: takes the wanted body piece by piece instead of `Response.body`; returns False
                when it has enough, which cuts the body.

        Raises:
            FetchFailed: no usable answer; see there.
        """
        sent = {
            **headers,
            "Accept": accept,
            "Accept-Encoding": ACCEPT_ENCODING,
            "User-Agent": user_agent,
        }
        with tracing.request(url.href, url.host, url.port) as answered:
            response = await self._get(
                url, sent, depart, max_bytes=max_bytes, want_body=want_body, feed=feed
            )
            answered(response.status)
            return response

    async def _get(
        self,
        url: Url,
        sent: Mapping[str, str],
        depart: Depart,
        *,
        max_bytes: int,
        want_body: WantBody | None,
        feed: Feed | None,
    ) -> Response:
        target = self._checked(url)
        loop = asyncio.get_running_loop()
        flight: Flight | None = None
        try:
            async with asyncio.timeout(self._limits.connect_s) as deadline:
                flight = Flight(depart, self._limits, deadline)
                token = FLIGHT.set(flight)
                try:
                    async with self._session.get(
                        target, headers=sent, allow_redirects=False, proxy=self._proxy
                    ) as answer:
                        if answer.status == _PROXY_REFUSES and self._proxy is not None:
                            raise _proxy_refused(_PROXY_REFUSES)
                        now_s = loop.time()
                        flight.timings.first_byte_ms = (now_s - flight.departed_s) * 1000
                        flight.phase = "reading the body"
                        # Framing has no limit of its own; one-byte chunks cost six times the body.
                        flight.allow_bytes(2 * max_bytes + _FRAMING_BYTES)
                        flight.allow_until(flight.departed_s + self._limits.total_s)
                        response = await _read(answer, flight, max_bytes, want_body, feed)
                        flight.timings.total_ms = (loop.time() - flight.departed_s) * 1000
                        return response
                finally:
                    FLIGHT.reset(token)
        except TimeoutError as error:
            phase = flight.phase if flight is not None else "starting"
            failure = FetchFailed("timeout", f"timed out while {phase}", is_transient=True)
            raise _timed(failure, flight) from error
        except FetchFailed as failure:
            raise _timed(failure, flight) from failure.__cause__
        except (aiohttp.ClientError, TargetRefused, OSError, ValueError) as error:
            raise _timed(failure_of(error), flight) from error

    def _checked(self, url: Url) -> URL:
        """Return `url` as aiohttp takes it, checked as far as that needs no address."""
        # Not parsed from `href`: yarl leaves the `?` of an empty query away.
        target = URL.build(scheme=url.scheme, authority=url.hostport, path=url.target, encoded=True)
        if (target.raw_host, target.port) != (url.host.strip("[]"), url.port):
            # Two parsers that disagree on the host are how address checks get bypassed.
            raise FetchFailed(
                "refused",
                f"the host of {url.href[:100]!r} is ambiguous: fix the URL",
                is_transient=False,
            )
        if self._proxy is not None:
            try:
                self._guard.check_literal(url.host, url.port)
            except TargetRefused as refused:
                raise failure_of(refused) from None
        return target


def failure_of(error: BaseException) -> FetchFailed:
    """Return `error`, raised by aiohttp or by the guard, as the FetchFailed of its class."""
    os_error = getattr(error, "os_error", None)
    is_closed = isinstance(error, aiohttp.ClientConnectionResetError)
    text = _CLOSED if is_closed else " ".join(str(error).split())[:200] or type(error).__name__
    error_class, is_transient = "connect", True
    if isinstance(error, TargetRefused):
        error_class, is_transient = "refused", False
    elif isinstance(os_error, SocketRefused):
        error_class, is_transient, text = "refused", False, str(os_error)
    elif isinstance(error, aiohttp.ClientHttpProxyError):
        return _proxy_refused(error.status)
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        never = isinstance(os_error, socket.gaierror) and os_error.errno == socket.EAI_NONAME
        error_class, is_transient = "dns", not never
        text = f"host {error.host!r} does not resolve: check the name" if never else text
    elif isinstance(error, aiohttp.ClientConnectorCertificateError):
        error_class, is_transient = "tls", False
    elif isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        error_class = "tls"
    elif isinstance(error, aiohttp.ClientPayloadError):
        # Also what a connection that is lost in the middle of a body ends in.
        error_class = "protocol"
    elif isinstance(error, aiohttp.ClientResponseError):
        # Its own text begins with a 400 that no site has sent.
        error_class, is_transient, text = "protocol", False, " ".join(error.message.split())[:200]
    elif isinstance(error, ValueError):
        error_class, is_transient = "protocol", False
    return FetchFailed(error_class, text, is_transient=is_transient)


async def _one_attempt(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Client middleware: a failed attempt is final, whatever aiohttp would like to repeat."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        # The text of a proxy's refusal shows the proxy's URL, password included.
        is_secret = isinstance(error, aiohttp.ClientHttpProxyError)
        raise failure_of(error) from (None if is_secret else error)


async def _read(
    answer: aiohttp.ClientResponse,
    flight: Flight,
    max_bytes: int,
    want_body: WantBody | None,
    feed: Feed | None,
) -> Response:
    headers = CIMultiDictProxy(CIMultiDict(answer.headers))
    is_wanted = want_body is None or want_body(answer.status, headers)
    codings = headers.getall("Content-Encoding", ()) if is_wanted else ()
    decoder = decoder_of(", ".join(codings))
    kept = bytearray()
    received = decoded = 0
    truncated = False
    async for data in answer.content.iter_any():
        received += len(data)
        for piece in decoder.pieces(data):
            chunk = piece[: max_bytes - decoded]
            truncated = len(chunk) < len(piece)
            decoded += len(chunk)
            _refuse_bomb(decoded, received)
            if is_wanted and feed is not None:
                truncated = not await feed(chunk) or truncated
            elif is_wanted:
                kept += chunk
            if truncated:
                break
        # Compressed bytes that decode to nothing are bytes too.
        truncated = truncated or received > max_bytes
        if truncated:
            # The rest stays unread, so the connection can't be used again.
            answer.close()
            break
    if not (truncated or decoder.is_complete):
        raise FetchFailed("protocol", "the compressed body ends too early", is_transient=True)
    return Response(
        answer.status, headers, bytes(kept), received, decoded, truncated, flight.timings
    )


def _refuse_bomb(decoded: int, received: int) -> None:
    if decoded > _RATIO_EXEMPT_BYTES and decoded > received * _MAX_RATIO:
        raise FetchFailed(
            "too_large",
            f"the body expands more than {_MAX_RATIO} times: refused as a decompression bomb",
            is_transient=False,
        )


def _proxy_refused(status: int) -> FetchFailed:
    return FetchFailed(
        "connect",
        f"the proxy answered {status}: check the setting proxy, and what the proxy permits",
        is_transient=True,
    )


def _timed(failure: FetchFailed, flight: Flight | None) -> FetchFailed:
    if flight is not None and flight.is_flooded:
        message = f"the answer is too long while {flight.phase}: refused"
        failure = FetchFailed("too_large", message, is_transient=False)
    if flight is not None:
        failure.timings = flight.timings
        if flight.departed_s:
            elapsed_s = asyncio.get_running_loop().time() - flight.departed_s
            failure.timings.total_ms = elapsed_s * 1000
    return failure
