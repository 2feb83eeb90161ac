"""Claim, settle, wake and enqueue in SQL, on the work pool.

Owns the turning of values into parallel arrays and of rows into values: one statement a batch,
never one a row. A settle that discovers tasks is one transaction of three statements, so a page
that is marked done can't lose its links; without discoveries or raises it is one statement.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import orjson

from pacewheel.clock import monotonic_ms
from pacewheel.model import Enqueued
from pacewheel.ports import DomainClaim, Raises, Settled, Woken
from pacewheel.store.columns import millis, sparse, text
from pacewheel.store.job_log import say_ended, say_started
from pacewheel.store.links import ids_of_lists, put_link_lists
from pacewheel.store.raises import PROBES_MAX, offer, raises_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import asyncpg

    from pacewheel.model import NewTask
    from pacewheel.pacing import Lesson
    from pacewheel.ports import CallersConnection, ClaimRequest, Settlement
    from pacewheel.store.hinter import Hinter
    from pacewheel.store.pool import WorkPool

# A sitemap of 50,000 addresses is one outcome: its tasks go in by statements of bounded length.
INSERT_ROWS_MAX = 5000
# No job has a poke below zero, so this cursor never counts.
FROM_THE_TOP = (-1, 0.0, 0)


def _departures(batch: Sequence[Settlement]) -> tuple[Any, ...]:
    """Return the last parameters of a settle, counted at the moment it is sent.

    Departures are kept where there was a gap to keep, or a pause was asked for.
    """
    now_ms = monotonic_ms()
    pauses_s = [item.outcome.block_domain_s for item in batch]
    kept = [
        item.departure
        if (item.departure is not None and item.departure.gap_ms) or pause_s is not None
        else None
        for item, pause_s in zip(batch, pauses_s, strict=True)
    ]
    return (
        sparse([departure and now_ms - departure.at_ms for departure in kept]),
        sparse([departure and departure.apart_ms for departure in kept]),
        sparse([departure and departure.gap_ms for departure in kept]),
        sparse([millis(pause_s) for pause_s in pauses_s]),
        sparse([ids_of_lists(item.outcome) if item.outcome.links else None for item in batch]),
    )


@dataclass(slots=True)
class Inserted:
    """What an insert came to: counts, the domains that got tasks, the raises of known ones."""

    counts: Enqueued = field(default_factory=Enqueued)
    domain_ids: set[int] = field(default_factory=set)
    raises: Raises = field(default_factory=Raises)


class PostgresTasks:
    """`TaskStore` on the work pool; also enqueues."""

    def __init__(self, pool: WorkPool, queries: Mapping[str, str], hinter: Hinter) -> None:
        self._pool = pool
        self._queries = queries
        self._hinter = hinter

    async def claim_tasks(
        self, worker_id: int, handlers: Sequence[str], request: ClaimRequest
    ) -> list[DomainClaim]:
        """Claim from the caller's domains; one missing from the answer is no longer its own."""
        job_ids = list(request.running.keys() | request.cursors.keys() | request.ahead.keys())
        cursors = [request.cursors.get(job_id, FROM_THE_TOP) for job_id in job_ids]
        rows = await self._pool.fetch(
            self._queries["claim_tasks"],
            worker_id,
            request.domain_ids,
            request.epochs,
            list(chain.from_iterable(request.unsettled)),
            job_ids,
            [request.running.get(job_id, 0) for job_id in job_ids],
            handlers,
            request.tasks_max,
            request.lead_ms,
            list(accumulate(map(len, request.unsettled))),
            [poke for poke, _, _ in cursors],
            [priority for _, priority, _ in cursors],
            [task_id for _, _, task_id in cursors],
            [request.ahead.get(job_id, 0.0) for job_id in job_ids],
            request.least_gaps_ms,
        )
        say_started(rows)
        return [self._claim_of(row) for row in rows]

    @staticmethod
    def _claim_of(row: asyncpg.Record) -> DomainClaim:
        (
            _started,
            _domain,
            domain_id,
            gap_ms,
            blocked_in_ms,
            slot_in_ms,
            limited,
            filled,
            wake_in_ms,
            claimed,
            waits_ms,
            tags,
            strides,
            competing,
            paused,
            *columns,
        ) = row
        return DomainClaim(
            domain_id,
            gap_ms,
            blocked_in_ms,
            slot_in_ms,
            limited,
            filled,
            wake_in_ms,
            waits_ms or (),
            tags,
            strides,
            competing,
            paused,
            list(zip(*columns, strict=True)) if claimed else [],
        )

    async def settle_tasks(
        self, worker_id: int, epochs: Mapping[int, int], batch: Sequence[Settlement]
    ) -> Settled:
        """Record a batch of attempts, all or nothing, fenced by the epochs of its domains.

        `epochs` holds those of the batch's domains. Safe to run again when its answer was lost:
        what is settled already is not touched.
        """
        discovering = sorted({item.job_id for item in batch if item.outcome.discovered})
        args = self._settle_args(worker_id, epochs, batch, discovering)
        paced = [
            item
            for item in batch
            if item.outcome.robots_delay_ms is not None or item.lesson is not None
        ]
        leaves = any(
            item.outcome.documents or item.outcome.raises or item.outcome.links for item in batch
        )
        if not (discovering or paced or leaves):
            row = await self._pool.run(
                lambda connection: connection.fetchrow(
                    self._queries["settle_tasks"], *args, *_departures(batch)
                ),
                name="settle_tasks",
            )
            say_ended(row["ended"] or ())
            return self._settled(row, Raises())
        ended: list[str] = []

        async def settle(connection: asyncpg.Connection) -> Settled:
            departures = _departures(batch)
            async with connection.transaction():
                await self._pace(connection, worker_id, epochs, paced)
                row = await connection.fetchrow(self._queries["settle_tasks"], *args, *departures)
                held = frozenset(row["held"])
                accepted = [item for item in batch if item.domain_id in held]
                await self._put_documents(connection, accepted)
                await put_link_lists(connection, self._queries, accepted)
                offers = [
                    (item.job_id, task) for item in accepted for task in item.outcome.discovered
                ]
                # Its owner, who alone can claim it, is the one who settles: nobody needs a hint.
                inserted = await self._insert(connection, offers, notify=False)
                await self._raise(connection, accepted, inserted.raises)
                # Of jobs that the settle has locked: any other would be locked out of order.
                discovered = sorted({job_id for job_id, _ in offers})
                finished = await connection.fetch(self._queries["finish_jobs"], discovered)
                ended[:] = (*(row["ended"] or ()), *(each["sums"] for each in finished))
                return self._settled(row, inserted.raises)

        settled: Settled = await self._pool.run(settle, name="settle_tasks")
        say_ended(ended)
        return settled

    async def _pace(
        self,
        connection: asyncpg.Connection,
        worker_id: int,
        epochs: Mapping[int, int],
        batch: Sequence[Settlement],
    ) -> None:
        robots: dict[int, int] = {}
        lessons: dict[int, Lesson] = {}
        for item in batch:
            if item.outcome.robots_delay_ms is not None:
                robots[item.domain_id] = item.outcome.robots_delay_ms
            if item.lesson is not None:
                before = lessons.get(item.domain_id)
                lessons[item.domain_id] = before.then(item.lesson) if before else item.lesson
        domain_ids = sorted(robots.keys() | lessons.keys())
        if domain_ids:
            learned = [lessons.get(domain_id) for domain_id in domain_ids]
            await connection.execute(
                self._queries["pace_domains"],
                worker_id,
                domain_ids,
                [epochs[domain_id] for domain_id in domain_ids],
                [robots.get(domain_id) for domain_id in domain_ids],
                [lesson and (lesson.block_ms or None) for lesson in learned],
                [lesson and lesson.pace.adaptive_delay_ms for lesson in learned],
                [lesson and lesson.pace.failures for lesson in learned],
                [lesson and lesson.pace.successes for lesson in learned],
                [lesson and lesson.block_reason for lesson in learned],
                [lesson and lesson.refused for lesson in learned],
            )

    async def _raise(
        self, connection: asyncpg.Connection, batch: Sequence[Settlement], raises: Raises
    ) -> None:
        """Offer the raises of outcomes, for keys just discovered too; add those that count."""
        offers = [
            (item.job_id, key, priority)
            for item in batch
            for key, priority in item.outcome.raises.items()
        ]
        if offers:
            offered = await offer(connection, self._queries["offer_raises"], offers, notify=False)
            raises.extend(offered.raises)

    @staticmethod
    def _settled(row: asyncpg.Record | None, raises: Raises) -> Settled:
        if row is None:
            raise AssertionError
        return Settled(frozenset(row["held"]), row["settled"], raises)

    @staticmethod
    def _settle_args(
        worker_id: int,
        epochs: Mapping[int, int],
        batch: Sequence[Settlement],
        discovering: Sequence[int],
    ) -> tuple[Any, ...]:
        return (
            worker_id,
            list(epochs),
            list(epochs.values()),
            list({item.job_id for item in batch}),
            discovering,
            [item.domain_id for item in batch],
            [item.task_id for item in batch],
            [item.status for item in batch],
            [item.attempt for item in batch],
            sparse([item.retry_in_ms for item in batch]),
            sparse([item.outcome.error for item in batch]),
            sparse([item.outcome.http_status for item in batch]),
            [item.duration_ms for item in batch],
            sparse([item.outcome.bytes for item in batch]),
            sparse([item.outcome.cache for item in batch]),
            sparse([text(item.outcome.detail) for item in batch]),
        )

    async def _put_documents(
        self, connection: asyncpg.Connection, batch: Sequence[Settlement]
    ) -> None:
        kept = {
            (item.domain_id, item.job_id, name): body
            for item in batch
            for name, body in item.outcome.documents.items()
        }
        if kept:
            await connection.execute(
                self._queries["put_documents"],
                [key[0] for key in kept],
                [key[1] for key in kept],
                [key[2] for key in kept],
                list(kept.values()),
            )

    async def enqueue_tasks(self, job_id: int, tasks: Sequence[NewTask]) -> Enqueued:
        """Insert tasks of one job, in one transaction; a known one may be raised by it.

        `refused` is the number of tasks when the job is final or unknown, else 0.
        """
        notify = self._hinter.leads()

        async def enqueue(connection: asyncpg.Connection) -> Inserted:
            async with connection.transaction():
                return await self.insert_tasks(connection, job_id, tasks, notify=notify)

        inserted: Inserted = await self._pool.run(enqueue, name="enqueue_tasks")
        self.committed(inserted, notified=notify)
        return inserted.counts

    def committed(self, inserted: Inserted, *, notified: bool) -> None:
        """Say what an insert has done, once it is committed."""
        self._hinter.committed("enqueued", inserted.domain_ids, notified=notified)
        self._hinter.committed("raised", set(inserted.raises.domain_ids), notified=notified)

    async def insert_tasks(
        self, connection: CallersConnection, job_id: int, tasks: Sequence[NewTask], *, notify: bool
    ) -> Inserted:
        """Insert tasks of one job inside the caller's transaction.

        With `notify` the transaction sends the hints; else its committer does.
        """
        return await self._insert(connection, [(job_id, task) for task in tasks], notify=notify)

    async def _insert(
        self, connection: CallersConnection, offers: Sequence[tuple[int, NewTask]], *, notify: bool
    ) -> Inserted:
        """Insert what is offered, by statements of bounded length."""
        inserted = Inserted()
        for start in range(0, len(offers), INSERT_ROWS_MAX):
            part = offers[start : start + INSERT_ROWS_MAX]
            await self._insert_part(connection, part, inserted, notify=notify)
        return inserted

    async def _insert_part(
        self,
        connection: CallersConnection,
        offers: Sequence[tuple[int, NewTask]],
        inserted: Inserted,
        *,
        notify: bool,
    ) -> None:
        """Insert a part; a key whose hash is taken by another goes under the next probe."""
        for probe in range(PROBES_MAX):
            if not offers:
                return
            args = (
                [job_id for job_id, _ in offers],
                [task.target for _, task in offers],
                sparse([task.key for _, task in offers]),
                [task.priority for _, task in offers],
                sparse([text(task.payload) for _, task in offers]),
                sparse([millis(task.ready_in_s) for _, task in offers]),
                probe,
                notify,
                sparse([task.beyond_limit or None for _, task in offers]),
            )
            row = await connection.fetchrow(self._queries["enqueue_tasks"], *args)
            if row["overtaken"]:
                # Not twice: it holds the jobs' locks now.
                row = await connection.fetchrow(self._queries["enqueue_tasks"], *args)
            inserted.counts = inserted.counts.plus(
                row["inserted"], row["known"], row["over_limit"], row["refused"]
            )
            inserted.domain_ids.update(row["domain_ids"])
            raised = raises_of(row)
            # Every known task was offered a priority again.
            raised.suppressed = row["known"] - len(raised)
            inserted.raises.extend(raised)
            offers = [offers[position - 1] for position in row["collided"]]
        message = f"{len(offers)} task keys met {PROBES_MAX} hash collisions each; their keys are not independent"
        raise RuntimeError(message)

    async def wake_tasks(self, domain_ids: Sequence[int], limit: int) -> list[Woken]:
        """Make pending what has become ready in these domains, so many in each at most."""
        rows = await self._pool.fetch(self._queries["wake_tasks"], domain_ids, limit)
        return [Woken(*row) for row in rows]

    async def find_ended(self, tasks: Sequence[tuple[int, int]]) -> list[int]:
        """Return the ids of those tasks, by domain and id, that are live no more."""
        rows = await self._pool.fetch(
            self._queries["find_ended"], [task[0] for task in tasks], [task[1] for task in tasks]
        )
        return [row["id"] for row in rows]

    async def get_document(self, domain_id: int, job_id: int, name: str) -> str | None:
        """Return a text that an earlier task of the job left."""
        row = await self._pool.fetchrow(self._queries["get_document"], domain_id, job_id, name)
        return None if row is None else row["body"]

    async def find_earlier(
        self, domain_id: int, task_id: int, job_id: int
    ) -> dict[str, Any] | None:
        """Return the detail that the task of the same key left in an earlier job of the domain."""
        row = await self._pool.fetchrow(self._queries["find_earlier"], domain_id, task_id, job_id)
        return None if row is None or row["detail"] is None else orjson.loads(row["detail"])

    async def count_live(self, handlers: Sequence[str]) -> tuple[int, int]:
        """Return how many tasks of these handlers are pending (running ones too) and waiting."""
        row = await self._pool.fetchrow(self._queries["count_live_tasks"], handlers)
        if row is None:
            raise AssertionError
        return row["pending"], row["waiting"]
