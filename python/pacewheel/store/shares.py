"""How many connections this process may open, so that all together leave the server its reserve.

Owns the process's share and what is said of it. The truth is the column `connections` of the live
workers: `share_connections` gives out rooms one process at a time. The room of a server is its
max_connections, less what it keeps for superusers and what `reserve_connections` keeps for
administration; it is shared equally. A process that joins gets the least, for which the others
always leave room, and grows to its share once the others have given way, each at its next
heartbeat: first it lowers its limit, then, when the connections are gone, it says so in its row.

Behind a pooler clients don't count against max_connections: there `pool_max` is the limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.clock import lease_clock_s
from pacewheel.errors import StoreUnavailable
from pacewheel.logs import Logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from pacewheel.store.pool import WorkPool

    # Asks for connections: wanted, in use at most, reserve, least; see share_connections.sql.
    Ask = Callable[[int, int, int, int], Awaitable[asyncpg.Record]]

log = Logger("connections")

# The connections beside the work pool: one listens, one keeps house.
SINGLES = 2
WORK_MIN = 2
LEAST = SINGLES + WORK_MIN
# Those who start at the same moment see one another before any of them grows.
GROWTH_DELAY_S = 1.0


class ConnectionShare:
    """Sizes one work pool; `where` names the database in messages."""

    def __init__(
        self, pool: WorkPool, *, where: str, pool_max: int, reserve: int, pooler: bool
    ) -> None:
        self._pool = pool
        self._where = where
        self._wanted = pool_max + SINGLES
        self._reserve = reserve
        self._pooler = pooler
        self._joined_s = float("-inf")
        self._processes = 0
        self._is_settled = False
        self._told: tuple[int, ...] = ()

    def unsettle(self) -> None:
        """Look again at the next review: the server may be another one."""
        self._is_settled = False

    async def join(self, ask: Ask) -> None:
        """Take the least that a process needs, as a worker that has just registered.

        Raises:
            StoreUnavailable: the server has no room for one more process.
        """
        if self._pooler:
            log.say(
                events.CONNECTIONS_SHARED,
                connections=self._wanted - SINGLES,
                share=f" to the pooler at {self._where} (pool_max), opened as needed: its limits hold, "
                "max_connections of the server is not looked at",
            )
            return
        await self._pool.resize(WORK_MIN)
        row = await ask(LEAST, self._in_use(), self._reserve, LEAST)
        if not row["fits"]:
            raise StoreUnavailable(
                f"{self._room(row)}, has no room for {row['processes']} processes of at least {LEAST} "
                "connections each: raise max_connections, lower reserve_connections or run fewer processes"
            )
        self._is_settled = False
        self._joined_s = lease_clock_s()
        self._tell(row)

    async def review(self, ask: Ask, processes: int) -> None:
        """Adapt to the number of processes, if it changed or others still had to give way."""
        if self._pooler or (self._is_settled and processes == self._processes):
            return
        if lease_clock_s() - self._joined_s < GROWTH_DELAY_S:
            return
        row = await ask(self._wanted, self._in_use(), self._reserve, LEAST)
        await self._pool.resize(row["granted"] - SINGLES)
        if self._in_use() < row["connections"]:
            row = await ask(self._wanted, self._in_use(), self._reserve, LEAST)
        self._processes = row["processes"]
        target = min(self._wanted, row["share"])
        self._is_settled = row["connections"] == row["granted"] == target
        self._tell(row)

    def _in_use(self) -> int:
        return self._pool.in_use + SINGLES

    def _room(self, row: asyncpg.Record) -> str:
        return (
            f"database {self._where}, of whose {row['max_connections']} connections (max_connections) "
            f"{row['superusers']} are kept for superusers and {self._reserve} for administration "
            "(reserve_connections)"
        )

    def _tell(self, row: asyncpg.Record) -> None:
        told = (row["max_connections"], row["superusers"], row["processes"], row["share"])
        if told == self._told:
            return
        self._told = told
        log.say(
            events.CONNECTIONS_SHARED,
            connections=min(self._wanted, row["share"]) - SINGLES,
            share=f" and {SINGLES} for hints and housekeeping, opened as needed: an equal share "
            f"(processes: {row['processes']}) of {self._room(row)}",
        )
