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
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from pacewheel.errors import StoreUnavailable
from pacewheel.metrics import Metrics
from pacewheel.outage import Outage
from pacewheel.store.connections import Connections
from pacewheel.store.faults import (
    DRIVER_ERRORS,
    is_away,
    is_retryable,
    is_unavailable,
    safe_dsn,
    sqlstate,
    translate,
)
from pacewheel.store.queries import OTHER, name_of
from pacewheel.store.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

CONNECT_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 60.0
RETRIES_MAX = 5

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


async def _open(dsn: str, *, pooler: bool) -> asyncpg.Connection:
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=STATEMENT_TIMEOUT_S,
            statement_cache_size=0 if pooler else 100,
            server_settings=None if pooler else _SETTINGS,
        )
    except asyncpg.ObjectNotInPrerequisiteStateError as error:
        # ALLOW_CONNECTIONS is false; of a statement this SQLSTATE would mean a defect.
        raise asyncpg.CannotConnectNowError(str(error)) from error
    try:
        await _set_up(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def connect(
    dsn: str,
    *,
    pooler: bool = False,
    transactions: Transactions | None = None,
    name: str | None = None,
) -> asyncpg.Connection:
    """Open one connection of its own, for listening, migrating or housekeeping.

    `transactions` counts its failure, and that of the transaction `name` it is for.

    Raises:
        StoreUnavailable: it can't be reached, or refuses.
    """
    try:
        return await _open(dsn, pooler=pooler)
    except (*DRIVER_ERRORS, ValueError) as error:
        if transactions is not None:
            transactions.failed(error, name)
        raise translate(error, dsn) from error


class WorkPool:
    """The connections that claim, settle and enqueue; at most `size_max`, opened as they are needed."""

    def __init__(
        self,
        dsn: str,
        *,
        size_max: int,
        pooler: bool,
        idle_max: int = 20,
        metrics: Metrics | None = None,
        transactions: Transactions | None = None,
        outage: Outage | None = None,
    ) -> None:
        metrics = metrics or Metrics()
        self._dsn = dsn
        self._transactions = transactions or Transactions(metrics)
        self._outage = outage or Outage()
        self._connections = Connections(
            partial(_open, dsn, pooler=pooler),
            where=safe_dsn(dsn),
            limit=size_max,
            idle_max=idle_max,
            metrics=metrics,
        )

    @property
    def limit(self) -> int:
        """How many connections may be open now."""
        return self._connections.limit

    @property
    def in_use(self) -> int:
        """How many connections the server may have to bear: the limit, or more until it is kept."""
        return max(self._connections.limit, self._connections.open)

    async def resize(self, limit: int) -> None:
        """Set how many connections may be open; nobody is cut."""
        await self._connections.resize(limit)

    async def open(self) -> None:
        """Connect.

        Raises:
            StoreUnavailable: the database can't be reached, or refuses.
        """
        try:
            async with self._connections.lend():
                pass
        except (*DRIVER_ERRORS, ValueError) as error:
            self._transactions.failed(error)
            raise translate(error, self._dsn) from error

    async def close(self) -> None:
        """Close all connections; those that don't answer are cut."""
        await self._connections.close(CONNECT_TIMEOUT_S)

    def headroom(self) -> float:
        """Return which share of the connections that there may be is free."""
        limit = self._connections.limit
        return 1 - min(1.0, self._connections.lent / limit) if limit else 0.0

    async def run(
        self, work: Callable[[asyncpg.Connection], Awaitable[Any]], *, name: str = OTHER
    ) -> Any:
        """Run `work` on a connection; after a deadlock or serialization failure run it again.

        `work` is one statement or one transaction, so that running it again is sound. `name` is the
        statement that it is timed under: the one it is about.

        Raises:
            StoreUnavailable: the database is away; the statement may or may not have taken effect.
            StoreError: it refused the statement.
        """
        for attempt in range(RETRIES_MAX):
            try:
                async with self._connections.lend() as connection:
                    with self._transactions.timed(name):
                        done = await work(connection)
                self._outage.worked()
                return done
            except StoreUnavailable as error:
                self._transactions.failed(error, name)
                raise
            except DRIVER_ERRORS as error:
                self._transactions.failed(error, name)
                if is_retryable(error) and attempt + 1 < RETRIES_MAX:
                    await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
                    continue
                # A server without a slot for one more has nothing against those that are open.
                if is_unavailable(error) and not sqlstate(error).startswith("53"):
                    self._connections.expire()
                ours = translate(error, self._dsn)
                if is_away(error):
                    self._outage.failed(ours)
                raise ours from error
        raise AssertionError

    async def fetch(self, query: str, *args: Any) -> Sequence[asyncpg.Record]:
        """Run one statement and return its rows."""
        rows: Sequence[asyncpg.Record] = await self.run(
            lambda connection: connection.fetch(query, *args), name=name_of(query)
        )
        return rows

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """Run one statement and return its first row."""
        rows = await self.fetch(query, *args)
        return rows[0] if rows else None
