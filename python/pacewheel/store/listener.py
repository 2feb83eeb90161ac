"""The LISTEN connection: carries hints, promises nothing.

A hint says what happened to whom: `enqueued`, `raised`, `released` and `due` (domains), `changed`
and `cancelled` (jobs), `stopped` (tasks), each with ids, or `all` (so much that everything is to be
looked at). Whoever misses one finds the same by sweeping, or when what it knew has expired. The
connection is opened by `listen` and reported when it breaks; opening it again is the notifier's
business. A transaction pooler passes no hints on: behind one, and without a direct DSN, nothing is
listened to.

A connection can be dead without a sign (a peer that drops packets), or alive and deaf (a pooler
that takes LISTEN and lends the server's side to others). So one that has heard nothing for a while
is probed: a hint is sent through the work pool, and must be heard here. TCP keepalive would find
neither when a proxy stands in between, and would have to be set in the kernel's seconds.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from pacewheel import events
from pacewheel.errors import StoreError
from pacewheel.logs import Logger
from pacewheel.store.faults import DRIVER_ERRORS, translate
from pacewheel.store.pool import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import asyncpg

    from pacewheel.store.pool import WorkPool
    from pacewheel.store.transactions import Transactions

log = Logger("listener")

# An idle process sends four probes a minute, and is deaf for so long and the timeout at most.
PROBE_AFTER_S = 15.0
PROBE_TIMEOUT_S = 5.0
PROBE = "probe"


def read_hint(payload: str) -> tuple[str, list[int]] | None:
    """Return verb and ids; None for what is no hint, since anybody may notify on the channel."""
    verb, *words = payload.split() or [""]
    try:
        return (verb, [int(word) for word in words]) if verb else None
    except ValueError:
        log.say(events.HINT_UNKNOWN, verb=payload[:80])
        return None


class PostgresListener:
    """One connection that listens on the schema's channel; with `pooler`, none."""

    def __init__(
        self,
        dsn: str,
        schema: str,
        pool: WorkPool,
        queries: Mapping[str, str],
        *,
        pooler: bool,
        transactions: Transactions,
    ) -> None:
        self._dsn = dsn
        self._transactions = transactions
        self._pooler = pooler
        self._channel = schema
        self._pool = pool
        self._queries = queries
        self._connection: asyncpg.Connection | None = None

    async def listen(self, on_hint: Callable[[str, list[int]], None]) -> None:
        """Listen until the connection breaks or is found deaf; call `on_hint` with verb and ids.

        The verb `listening` is reported once the connection listens, and `heard` whenever it is
        known to hear.

        Raises:
            StoreUnavailable: the connection can't be made, or broke, or hears nothing.
            StoreError: the server, or what stands before it, knows no LISTEN.
        """
        if self._pooler:
            log.say(events.HINTS_WITHOUT_LISTENER)
            await asyncio.Event().wait()
        connection = await connect(self._dsn, transactions=self._transactions)
        self._connection = connection
        broken = asyncio.Event()
        heard = asyncio.Event()
        connection.add_termination_listener(lambda _connection: broken.set())

        def receive(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
            heard.set()
            hint = read_hint(str(payload))
            if hint is not None and hint[0] != PROBE:
                on_hint(*hint)

        try:
            await connection.add_listener(self._channel, receive)
            on_hint("listening", [])
            quiet_s = 0.0
            while not await _happens(broken, quiet_s):
                if heard.is_set() or await self._probe(heard, broken):
                    on_hint("heard", [])
                heard.clear()
                quiet_s = PROBE_AFTER_S * random.uniform(0.9, 1.1)
        except DRIVER_ERRORS as error:
            self._transactions.failed(error)
            raise translate(error, self._dsn) from error
        finally:
            await self.close()
        raise translate(ConnectionError("the listening connection was closed"), self._dsn)

    async def _probe(self, heard: asyncio.Event, broken: asyncio.Event) -> bool:
        """Return whether anything was heard; a probe that can't be sent says nothing of that."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._pool.fetch(self._queries["notify"], [PROBE])
        except (StoreError, TimeoutError):
            return False
        if await _happens(heard, PROBE_TIMEOUT_S):
            return True
        if broken.is_set():
            return False
        raise ConnectionError("the listening connection hears nothing")

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
