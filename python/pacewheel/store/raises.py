"""Raises of priorities in SQL: offered by key, kept in the outbox, written to the tasks.

Owns the rows of `priority_updates`, the durable image of every process's debounce buffer: an offer
puts a row there in its own transaction, a write takes it out. What enqueues discover is offered by
`enqueue_tasks`, everything else by `offer_raises`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pacewheel.errors import DataRefused
from pacewheel.model import Raised
from pacewheel.ports import Propagated, Raises

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pacewheel.store.hinter import Hinter
    from pacewheel.store.pool import WorkPool

PROBES_MAX = 16
OFFER_ROWS_MAX = 5000


class Offered(NamedTuple):
    """The raises that count; how many keys are unknown; how many rows a final job refused."""

    raises: Raises
    unknown: int
    refused: int


def raises_of(row: asyncpg.Record) -> Raises:
    """Return the raises in the answer of a statement that offers some."""
    return Raises(
        row["raised_domain_ids"],
        row["raised_task_ids"],
        row["raised_job_ids"],
        row["raised_priorities"],
    )


async def offer(
    connection: asyncpg.Connection,
    query: str,
    offers: Sequence[tuple[int, str, float]],
    *,
    notify: bool,
) -> Offered:
    """Offer raises (job id, key, priority) inside the caller's transaction.

    By statements of bounded length; a key whose hash another one has taken is looked for under the
    next probe.
    """
    raises = Raises()
    unknown = refused = 0
    for start in range(0, len(offers), OFFER_ROWS_MAX):
        part = offers[start : start + OFFER_ROWS_MAX]
        for probe in range(PROBES_MAX):
            if not part:
                break
            row = await connection.fetchrow(
                query,
                [job_id for job_id, _, _ in part],
                [key for _, key, _ in part],
                [priority for _, _, priority in part],
                probe,
                notify,
            )
            raises.extend(raises_of(row))
            unknown += row["unknown"]
            refused += row["refused"]
            part = [part[position - 1] for position in row["collided"]]
    raises.suppressed = len(offers) - len(raises) - unknown - refused
    return Offered(raises, unknown, refused)


class PostgresRaises:
    """`RaiseStore` on the work pool; also offers raises from outside."""

    def __init__(self, pool: WorkPool, queries: Mapping[str, str], hinter: Hinter) -> None:
        self._pool = pool
        self._queries = queries
        self._hinter = hinter

    async def offer_raises(self, job_id: int, priorities: Mapping[str, float]) -> Raised | None:
        """Ask for priorities of a job's tasks, by key; None: the job is final or unknown.

        Raises:
            DataRefused: a priority is not a number.
        """
        if any(map(math.isnan, priorities.values())):
            raise DataRefused("a priority is NaN: give a number")
        offers = [(job_id, key, priority) for key, priority in priorities.items()]

        async def ask(connection: asyncpg.Connection) -> Offered:
            async with connection.transaction():
                return await offer(connection, self._queries["offer_raises"], offers, notify=notify)

        notify = self._hinter.leads()
        offered: Offered = await self._pool.run(ask, name="offer_raises")
        self._hinter.committed("raised", set(offered.raises.domain_ids), notified=notify)
        if offered.refused:
            return None
        return Raised(len(offered.raises), offered.raises.suppressed, offered.unknown)

    async def raise_priorities(self, raises: Raises) -> Propagated:
        """Write raises to their tasks and take them out of the outbox."""
        row = await self._pool.fetchrow(
            self._queries["raise_priorities"],
            raises.domain_ids,
            raises.task_ids,
            raises.job_ids,
            raises.priorities,
        )
        if row is None:
            raise AssertionError
        return Propagated(row["written"], row["suppressed"], row["running"], row["domain_ids"])

    async def load_raises(
        self, domain_ids: Sequence[int], after: tuple[int, int], limit: int
    ) -> Raises:
        """Read the outbox of these domains on behind (domain id, task id)."""
        rows = await self._pool.fetch(self._queries["load_raises"], domain_ids, *after, limit)
        return Raises(
            [row["domain_id"] for row in rows],
            [row["task_id"] for row in rows],
            [row["job_id"] for row in rows],
            [row["priority"] for row in rows],
        )

    async def prune_raises(self, limit: int) -> int:
        """Take raises of final jobs out of the outbox; return how many."""
        row = await self._pool.fetchrow(self._queries["prune_raises"], limit)
        return 0 if row is None else row["pruned"]
