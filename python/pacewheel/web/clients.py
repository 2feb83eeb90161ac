"""Bounds on whoever connects: how many at once, and how long one may take.

A connection must begin its first request within a time, and must take what it was sent: one that
takes nothing for long is cut off. (Between requests the HTTP server itself closes what is idle; the
stream of events has a bound of its own.) Looks only while somebody is connected.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from aiohttp.web import Server
    from aiohttp.web_protocol import RequestHandler

CONNECTIONS_MAX = 200
LOOK_S = 5.0
# Looks in a row at which it had begun no request, or had taken nothing of what waits for it.
STILL_MAX = 4


class Clients:
    """Accepts connections, and looks after them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listener: asyncio.Server | None = None
        self._still: dict[RequestHandler, tuple[int, int]] = {}
        self._looking: asyncio.TimerHandle | None = None

    async def listen(self, bound: socket.socket, *, backlog: int) -> None:
        """Accept connections of this socket, which is then ours."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._accept, sock=bound, backlog=backlog)

    def close(self) -> None:
        """Accept no more."""
        if self._listener is not None:
            self._listener.close()
        if self._looking is not None:
            self._looking.cancel()

    def _accept(self) -> asyncio.Protocol:
        if len(self._server.connections) >= CONNECTIONS_MAX:
            return _TurnedAway()
        handler: asyncio.Protocol = self._server()
        if self._looking is None:
            self._look_later()
        return handler

    def _look_later(self) -> None:
        self._looking = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = None
        before, self._still = self._still, {}
        for handler in self._server.connections:
            transport = handler.transport
            if transport is None:
                continue
            unsent = transport.get_write_buffer_size()
            # The handler counts what it has served; before its first request that is nothing.
            if unsent == 0 and getattr(handler, "_request_count", True):
                continue
            looks, unsent_before = before.get(handler, (0, unsent))
            looks = looks + 1 if unsent >= unsent_before else 1
            if looks >= STILL_MAX:
                transport.abort()
            else:
                self._still[handler] = (looks, unsent)
        if self._server.connections:
            self._look_later()


class _TurnedAway(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()
