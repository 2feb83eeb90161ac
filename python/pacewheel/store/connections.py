"""The connections of the work pool: opened as needed, under a limit that may change meanwhile.

Owns who may use a connection, first come first served, and which idle ones stay. Promises that no
more than `limit` are open: lowering it closes idle ones at once and the others as they are given
back, and nobody is cut. Of the idle ones those used last are used next, so the others grow old:
more than `idle_max` are closed within two seconds, the rest after a minute, but one stays. Whoever
waits too long for a connection gets an error that says so.

The limit is shared out by `shares.py`. Nothing here outlives the process, and the server needs no
help to forget it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import asyncpg

from pacewheel.errors import StoreUnavailable
from pacewheel.store.faults import DRIVER_ERRORS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pacewheel.metrics import Metrics

WAIT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
RESIZE_WAIT_S = 0.5
IDLE_S = 60.0
IDLE_SURPLUS_S = 1.0
STAYING = 1


class Connections:
    """Lends connections; `where` names the database in errors."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        *,
        where: str,
        limit: int,
        idle_max: int,
        metrics: Metrics,
    ) -> None:
        self._connect = connect
        self._where = where
        self.limit = limit
        self._idle_max = idle_max
        self._metrics = metrics
        self._lent = 0
        """Permits to use a connection, each had before there is one."""
        self._opening = 0
        self._generation = 0
        self._busy: dict[asyncpg.Connection, int] = {}
        """The generation of each: what is older than the last `expire` is not used again."""
        self._idle: deque[tuple[float, asyncpg.Connection]] = deque()
        """Since when, the longest first."""
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._returned = asyncio.Event()
        self._is_closed = False
        metrics.watch_pool(
            busy=lambda: self._lent,
            idle=lambda: len(self._idle),
            waiting=lambda: len(self._waiters),
            limit=lambda: self.limit,
        )

    @property
    def lent(self) -> int:
        """How many connections are in use, those on their way included."""
        return self._lent

    @property
    def open(self) -> int:
        """How many connections the server may see, those on their way included."""
        return self._lent + len(self._idle) + len(self._closing)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection; one that was left in the middle of something is closed afterwards.

        Raises:
            StoreUnavailable: none was free in time.
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: a new one can't be made.
        """
        connection = await self._take()
        sound = is_cancelled = False
        try:
            yield connection
            sound = True
        except asyncio.CancelledError:
            is_cancelled = True
            raise
        except Exception as error:
            # An answer of the server and a value that can't be encoded leave it as it was.
            is_harmless = isinstance(error, asyncpg.PostgresError | ValueError)
            sound = is_harmless or not isinstance(error, DRIVER_ERRORS)
            raise
        finally:
            closing = self._give_back(connection, sound=sound)
            if closing is not None and is_cancelled:
                # Who was cancelled waits for it, or a loop that ends would leave it half closed.
                await asyncio.shield(closing)

    async def _take(self) -> asyncpg.Connection:
        if self._is_closed:
            raise self._closed_error()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        if self._waiters or self._lent >= self.limit:
            await self._wait()
        else:
            self._lent += 1
        self._metrics.pool_wait_seconds.observe(loop.time() - began_s)
        try:
            while self._idle:
                _, connection = self._idle.pop()
                if not connection.is_closed():
                    break
            else:
                connection = await self._open()
        except BaseException:
            self._return_permit()
            raise
        self._busy[connection] = self._generation
        return connection

    async def _open(self) -> asyncpg.Connection:
        self._opening += 1
        try:
            connection = await self._connect()
        finally:
            self._opening -= 1
        if self._is_closed:
            # All others were closed while it was on its way: nobody would close it later.
            connection.terminate()
            raise self._closed_error()
        return connection

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(WAIT_S):
                await waiter
        except BaseException as error:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                # The permit came together with the end of the wait.
                self._return_permit()
            if not isinstance(error, TimeoutError):
                raise
            self._metrics.pool_timeouts.inc()
            raise StoreUnavailable(
                f"no connection to database {self._where} was free within {WAIT_S:g} s, all {self.limit} of the "
                "pool are busy: look for slow statements, or raise pool_max (and max_connections)"
            ) from error

    def _give_back(
        self, connection: asyncpg.Connection, *, sound: bool
    ) -> asyncio.Task[None] | None:
        generation = self._busy.pop(connection)
        if (
            sound
            and generation == self._generation
            and not connection.is_closed()
            and not connection.is_in_transaction()
            and self._connected() < self.limit
        ):
            self._idle.append((asyncio.get_running_loop().time(), connection))
            self._tidy_later()
            self._return_permit()
            return None
        # The server counts it until it is closed, and so does the permit.
        closing = self._close(connection)
        closing.add_done_callback(lambda _: self._return_permit())
        return closing

    def _connected(self) -> int:
        return self._opening + len(self._busy) + len(self._idle)

    def _return_permit(self) -> None:
        self._lent -= 1
        self._returned.set()
        self._admit()

    def _admit(self) -> None:
        while self._waiters and self._lent < self.limit:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._lent += 1
                waiter.set_result(None)

    async def resize(self, limit: int) -> None:
        """Set the limit; what is idle beyond it is closed on return, what is busy as it comes back."""
        self.limit = limit
        while self._idle and self._connected() > limit:
            self._close(self._idle.popleft()[1])
        self._admit()
        # A server that is slow to take a farewell must not hold up the caller.
        await self._closed(RESIZE_WAIT_S)

    def expire(self) -> None:
        """Use none of the present connections again: the database was away."""
        self._generation += 1
        while self._idle:
            self._close(self._idle.pop()[1])

    async def close(self, grace_s: float) -> None:
        """Lend nothing any more, wait for what is lent, close all; what is late is cut."""
        self._is_closed = True
        self.limit = 0
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(self._closed_error())
        self.expire()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._lent:
                    self._returned.clear()
                    await self._returned.wait()
        for connection in self._busy:
            connection.terminate()
        if self._timer is not None:
            self._timer.cancel()
        await self._closed(CLOSE_TIMEOUT_S)

    def _closed_error(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"the connections to database {self._where} are closed: start the engine again"
        )

    def _tidy_later(self) -> None:
        if self._timer is None and len(self._idle) > STAYING:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(IDLE_SURPLUS_S, self._tidy)

    def _tidy(self) -> None:
        """Close what has been idle for too long."""
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        while len(self._idle) > STAYING:
            since_s, connection = self._idle[0]
            kept_s = IDLE_SURPLUS_S if len(self._idle) > self._idle_max else IDLE_S
            if now_s - since_s < kept_s:
                break
            self._idle.popleft()
            self._close(connection)
        self._tidy_later()

    def _close(self, connection: asyncpg.Connection) -> asyncio.Task[None]:
        task = asyncio.create_task(_shut(connection), name="pacewheel closes a connection")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def _closed(self, timeout_s: float) -> None:
        if self._closing:
            await asyncio.wait(self._closing, timeout=timeout_s)


async def _shut(connection: asyncpg.Connection) -> None:
    with suppress(*DRIVER_ERRORS):
        await connection.close(timeout=CLOSE_TIMEOUT_S)
