"""The stream of events: an overview about a second, to as many as may watch.

A watcher is told the newest overview when it has taken the last one: who reads slowly misses some,
holds one in memory, and is cut off once it takes nothing for ten seconds. Nothing is computed for a
watcher; the overview is made into bytes once.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

from pacewheel.web.answers import Refused

if TYPE_CHECKING:
    from pacewheel.web.watch import Watch

WATCHERS_MAX = 50
RETRY_MS = 3_000
HEARTBEAT_S = 15.0
STALLED_S = 10.0


class Events:
    """Streams to watchers; `stop` ends all of them."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._streams: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Stream until the watcher leaves, stalls, or the server ends."""
        if self._watch.watchers >= WATCHERS_MAX:
            raise Refused(
                503,
                "too_many_watchers",
                f"{WATCHERS_MAX} watch this process already: close a page, or ask another process",
                {"Retry-After": "10"},
            )
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                # Else a proxy before us keeps events until it has many.
                "X-Accel-Buffering": "no",
            }
        )
        stream = asyncio.create_task(self._stream(request, response))
        self._streams.add(stream)
        self._watch.watchers += 1
        try:
            await stream
        except asyncio.CancelledError:
            stream.cancel()
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
        finally:
            self._watch.watchers -= 1
            self._streams.discard(stream)
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse) -> None:
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await _write(request, response, b"retry: %d\n\n" % RETRY_MS)
            number = 0
            if self._watch.is_fresh:
                number = self._watch.number
                await _write(request, response, self._event(number))
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        number = await self._watch.next_after(number)
                except TimeoutError:
                    await _write(request, response, b": nothing new\n\n")
                    continue
                await _write(request, response, self._event(number))

    def _event(self, number: int) -> bytes:
        return b"event: overview\nid: %d\ndata: %b\n\n" % (number, self._watch.latest_json)


async def _write(request: web.Request, response: web.StreamResponse, chunk: bytes) -> None:
    try:
        async with asyncio.timeout(STALLED_S):
            await response.write(chunk)
    except TimeoutError:
        # It would wait for the watcher to take the rest.
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from None
