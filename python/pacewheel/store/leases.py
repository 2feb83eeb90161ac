"""Leases in SQL: workers, heartbeats, and who owns which domain.

Everything runs on the housekeeping connection, so that a saturated work pool can't starve a heartbeat.
The connection is opened again when it breaks.
"""

from __future__ import annotations

import asyncio
import os
import socket
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pacewheel import events
from pacewheel.errors import StoreError, StoreUnavailable
from pacewheel.logs import Logger
from pacewheel.metrics import Metrics
from pacewheel.outage import Outage
from pacewheel.pacing import Pace
from pacewheel.ports import Heartbeat, LeasedDomain, LostTask
from pacewheel.store.faults import DRIVER_ERRORS, is_away, translate
from pacewheel.store.pool import connect
from pacewheel.store.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pacewheel.store.hinter import Hinter
    from pacewheel.store.shares import Ask, ConnectionShare

log = Logger("connections")

HEARTBEAT_TIMEOUT_S = 5.0


class PostgresLeases:
    """`LeaseStore` on one reserved connection."""

    def __init__(
        self,
        dsn: str,
        queries: Mapping[str, str],
        hinter: Hinter,
        *,
        pooler: bool,
        transactions: Transactions | None = None,
        share: ConnectionShare | None = None,
        outage: Outage | None = None,
    ) -> None:
        self._dsn = dsn
        self._outage = outage or Outage()
        self._transactions = transactions or Transactions(Metrics())
        self._queries = queries
        self._hinter = hinter
        self._pooler = pooler
        self._share = share
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _fetch(self, name: str, *args: Any) -> list[asyncpg.Record]:
        async with self._lock:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connect(name)
                if self._share is not None:
                    self._share.unsettle()
            try:
                with self._transactions.timed(name):
                    rows: list[asyncpg.Record] = await self._connection.fetch(
                        self._queries[name], *args, timeout=HEARTBEAT_TIMEOUT_S
                    )
            except DRIVER_ERRORS as error:
                self._transactions.failed(error, name)
                connection, self._connection = self._connection, None
                connection.terminate()
                ours = translate(error, self._dsn)
                if is_away(error):
                    self._outage.failed(ours)
                raise ours from error
            self._outage.worked()
            return rows

    async def _connect(self, name: str) -> asyncpg.Connection:
        try:
            return await connect(
                self._dsn, pooler=self._pooler, transactions=self._transactions, name=name
            )
        except StoreUnavailable as error:
            self._outage.failed(error)
            raise

    async def register_worker(self, capacity: int, lease_ms: int, handlers: Sequence[str]) -> int:
        """Enter this process among the workers, with its least of connections; return its id.

        Raises:
            StoreUnavailable: the server can't bear the connections of one more process.
        """
        rows = await self._fetch(
            "register_worker",
            socket.gethostname(),
            os.getpid(),
            version("pacewheel"),
            capacity,
            lease_ms,
            handlers,
        )
        worker_id: int = rows[0]["id"]
        if self._share is not None:
            try:
                await self._share.join(self._asking(worker_id))
            except StoreUnavailable:
                await self.retire_worker(worker_id)
                raise
        return worker_id

    def _asking(self, worker_id: int) -> Ask:
        async def ask(*args: int) -> asyncpg.Record:
            return (await self._fetch("share_connections", worker_id, *args))[0]

        return ask

    async def heartbeat(self, worker_id: int, lease_ms: int, held: int) -> Heartbeat | None:
        """Renew the lease, and adapt the work pool; None once this worker was declared dead."""
        rows = await self._fetch("heartbeat", worker_id, lease_ms, held)
        if not rows:
            return None
        row = rows[0]
        if self._share is not None:
            try:
                await self._share.review(self._asking(worker_id), row["processes"])
            except StoreError as error:
                # The lease is renewed all the same; the next beat looks again.
                self._share.unsettle()
                log.say(events.SHARE_UNREVIEWED, error=error)
        return Heartbeat(row["alive"], row["expired"], row["active"], row["missing"], row["ahead"])

    async def declare_dead(self) -> list[int]:
        """Declare dead the workers whose lease has run out; return their ids."""
        return [row["id"] for row in await self._fetch("declare_dead")]

    async def drain_worker(self, worker_id: int) -> None:
        """Say that this worker takes no more domains, so that the others share its part."""
        await self._fetch("drain_worker", worker_id)

    async def retire_worker(self, worker_id: int) -> None:
        """Take this worker off at its orderly end."""
        await self._fetch("retire_worker", worker_id)

    async def lease_domains(
        self,
        worker_id: int,
        handlers: Sequence[str],
        horizon_ms: int,
        limit: int,
        passed_over: Sequence[int] = (),
    ) -> list[LeasedDomain]:
        """Find and lease at most `limit` domains that have work and no living owner, or are ours unawares.

        Those held already are to be passed over.
        """
        found = await self._fetch(
            "find_leasable", handlers, horizon_ms, limit, worker_id, passed_over
        )
        if not found:
            return []
        rows = await self._fetch(
            "lease_domains",
            worker_id,
            [row["id"] for row in found],
            [row["owner"] for row in found],
            [row["epoch"] for row in found],
        )
        return [
            LeasedDomain(
                row["id"],
                row["name"],
                row["epoch"],
                row["in_flight"],
                row["wake_in_ms"],
                Pace(row["adaptive_delay_ms"], row["failures"], row["successes"], row["is_open"]),
            )
            for row in rows
        ]

    async def find_unserved(self, domain_ids: Sequence[int], handlers: Sequence[str]) -> list[int]:
        """Name domains of ours in which work waits for a handler that only others have."""
        rows = await self._fetch("find_unserved", domain_ids, handlers)
        return [row["domain_id"] for row in rows]

    async def release_domains(
        self,
        worker_id: int,
        domain_ids: Sequence[int],
        epochs: Sequence[int],
        slots_in_ms: Sequence[float],
    ) -> None:
        """Give domains back; what was in flight of them is pending again."""
        notify = self._hinter.leads()
        rows = await self._fetch(
            "release_domains", worker_id, domain_ids, epochs, slots_in_ms, notify
        )
        self._hinter.committed("released", [row["id"] for row in rows], notified=notify)

    async def load_tasks(self, in_flight: Mapping[int, Sequence[int]]) -> list[LostTask]:
        """Read the tasks, by domain, that a dead owner left in flight."""
        pairs = [
            (domain_id, task_id)
            for domain_id, task_ids in in_flight.items()
            for task_id in task_ids
        ]
        rows = await self._fetch(
            "load_tasks", [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        )
        return [
            LostTask(row["domain_id"], row["id"], row["job_id"], row["attempt"], row["handler"])
            for row in rows
        ]
