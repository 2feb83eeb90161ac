"""The LISTEN connection: carries hints, promises nothing.

A hint says what happened to whom (`enqueued 12 14`, `released 9`, `cancelled 3`); whoever misses
one finds the same by sweeping. The connection is opened by `listen` and reported when it breaks;
opening it again is the notifier's business. A transaction pooler passes no hints on: behind one,
and without a direct DSN, nothing is listened to.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from pacewheel.store.faults import DRIVER_ERRORS, translate
from pacewheel.store.pool import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

log = logging.getLogger("pacewheel.listener")


class PostgresListener:
    """One connection that listens on the schema's channel; with `pooler`, none."""

    def __init__(self, dsn: str, schema: str, *, pooler: bool) -> None:
        self._dsn = dsn
        self._pooler = pooler
        self._channel = schema
        self._connection: asyncpg.Connection | None = None

    async def listen(self, on_hint: Callable[[str, list[int]], None]) -> None:
        """Listen until the connection breaks; call `on_hint` with each hint's verb and ids.

        Raises:
            StoreUnavailable: the connection can't be made, or broke.
        """
        if self._pooler:
            log.info(
                "no hints through a pooler: new work is found by the sweep; set direct_dsn to hear of it at once"
            )
            await asyncio.Event().wait()
        connection = await connect(self._dsn)
        self._connection = connection
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _connection: broken.set())

        def receive(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
            verb, *ids = str(payload).split()
            on_hint(verb, [int(word) for word in ids])

        try:
            await connection.add_listener(self._channel, receive)
            on_hint("listening", [])
            await broken.wait()
        except DRIVER_ERRORS as error:
            raise translate(error, self._dsn) from error
        finally:
            await self.close()
        raise translate(ConnectionError("the listening connection was closed"), self._dsn)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
