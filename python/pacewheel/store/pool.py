"""Connections: the work pool and the single connections of the other roles.

Owns how a connection is set up. The work pool holds no session state between statements, so it
runs behind a transaction pooler (`pooler=True`: no prepared statements, no start-up parameters).
Directly connected, the planner is kept from plans that were right for a small table: a sequential
scan that was cached while the queue was empty, or a bitmap and a sort while few tasks were pending,
is the classic way to lose a burst.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from pacewheel.store.faults import (
    DRIVER_ERRORS,
    ignore,
    is_retryable,
    is_unavailable,
    sqlstate_class,
    translate,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

CONNECT_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 60.0
RETRIES_MAX = 5
IDLE_S = 60.0

_SETTINGS = {
    "application_name": "pacewheel",
    "enable_bitmapscan": "off",
    "enable_seqscan": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


async def _set_up(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_dumps, decoder=orjson.loads
    )


async def _keep(_connection: asyncpg.Connection) -> None:
    """Reset nothing when a connection returns to the pool: the work role keeps no session state."""


async def connect(dsn: str, *, pooler: bool = False) -> asyncpg.Connection:
    """Open one connection of its own, for listening, migrating or housekeeping.

    Raises:
        StoreUnavailable: it can't be reached, or refuses.
    """
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            statement_cache_size=0 if pooler else 100,
            server_settings=None if pooler else _SETTINGS,
        )
    except (*DRIVER_ERRORS, ValueError) as error:
        raise translate(error, dsn) from error
    await _set_up(connection)
    return connection


class WorkPool:
    """The connections that claim, settle and enqueue; at most `size_max`, opened as they are needed."""

    def __init__(
        self,
        dsn: str,
        *,
        size_max: int,
        pooler: bool,
        on_error: Callable[[str], None] = ignore,
    ) -> None:
        self._dsn = dsn
        self._on_error = on_error
        self._size_max = size_max
        self._pooler = pooler
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Connect.

        Raises:
            StoreUnavailable: the database can't be reached, or refuses.
        """
        try:
            # The driver would fill a floor up by itself, and log each try of an outage.
            pool = await asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=self._size_max,
                init=_set_up,
                reset=_keep,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=STATEMENT_TIMEOUT_S,
                max_inactive_connection_lifetime=IDLE_S,
                statement_cache_size=0 if self._pooler else 100,
                server_settings=None if self._pooler else _SETTINGS,
            )
            async with pool.acquire(timeout=CONNECT_TIMEOUT_S):
                self._pool = pool
        except (*DRIVER_ERRORS, ValueError) as error:
            raise translate(error, self._dsn) from error

    async def close(self) -> None:
        """Close all connections; those that don't answer are cut."""
        if self._pool is None:
            return
        try:
            await asyncio.wait_for(self._pool.close(), CONNECT_TIMEOUT_S)
        except DRIVER_ERRORS:
            self._pool.terminate()
        self._pool = None

    def headroom(self) -> float:
        """Return which share of the connections that there may be is free."""
        if self._pool is None:
            return 0.0
        in_use: int = self._pool.get_size() - self._pool.get_idle_size()
        return 1 - in_use / self._size_max

    async def run(self, work: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        """Run `work` on a connection; after a deadlock or serialization failure run it again.

        `work` is one statement or one transaction, so that running it again is sound.

        Raises:
            StoreUnavailable: the database is away; the statement may or may not have taken effect.
            StoreError: it refused the statement.
        """
        if self._pool is None:
            message = "the work pool is not open"
            raise RuntimeError(message)
        for attempt in range(RETRIES_MAX):
            try:
                async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                    return await work(connection)
            except DRIVER_ERRORS as error:
                self._on_error(sqlstate_class(error))
                if is_retryable(error) and attempt + 1 < RETRIES_MAX:
                    await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
                    continue
                if is_unavailable(error):
                    await self._pool.expire_connections()
                raise translate(error, self._dsn) from error
        raise AssertionError

    async def fetch(self, query: str, *args: Any) -> Sequence[asyncpg.Record]:
        """Run one statement and return its rows."""
        rows: Sequence[asyncpg.Record] = await self.run(
            lambda connection: connection.fetch(query, *args)
        )
        return rows

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """Run one statement and return its first row."""
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None
