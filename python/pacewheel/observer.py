"""Observer: what only the database knows, read when somebody looks at the metrics.

Owns when it is read. While nobody looks nothing is asked, so an idle process stays as quiet as it
is; whoever looks sees what is a few seconds old at most, and of several at once one reads. Nobody
is held up by a database that is away or slow: what could not be read in time is not shown, until it
can be read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from pacewheel.errors import PacewheelError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pacewheel.metrics import Metrics
    from pacewheel.metrics.figures import DatabaseFigures
    from pacewheel.overview import Totals
    from pacewheel.store import Store

log = logging.getLogger("pacewheel.observer")

# Totals move with every claim and cost a read of the live jobs; the others move slowly, and the
# size of the database is a look at each of its files.
TOTALS_FRESH_S = 2.0
OTHERS_FRESH_S = 15.0
WAIT_S = 2.0
STUCK_S = 600.0

T = TypeVar("T")


class Observer:
    """Keeps the metrics' figures of `store()` fresh, as long as `refresh` is called."""

    def __init__(
        self,
        store: Callable[[], Store],
        metrics: Metrics,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        def put_totals(totals: Totals | None) -> None:
            metrics.totals.figures = totals

        def put_stuck(jobs: int | None) -> None:
            metrics.totals.jobs_stuck = jobs

        def put_database(figures: DatabaseFigures | None) -> None:
            metrics.database.figures = figures

        async def count_totals() -> Totals:
            return await store().overview.count_totals()

        async def count_stuck() -> int:
            return len(await store().explanations.find_stuck_jobs(STUCK_S))

        async def read_database() -> DatabaseFigures:
            return await store().figures.read_database()

        self._database = _Figure(read_database, put_database, OTHERS_FRESH_S, now_s)
        self._figures: Sequence[_Figure[Totals] | _Figure[int] | _Figure[DatabaseFigures]] = [
            _Figure(count_totals, put_totals, TOTALS_FRESH_S, now_s),
            _Figure(count_stuck, put_stuck, OTHERS_FRESH_S, now_s),
            self._database,
        ]

    async def refresh(self) -> None:
        """Read what is too old; return within two seconds, whatever becomes of it. Raises nothing."""
        await asyncio.gather(*(figure.refresh() for figure in self._figures))

    async def refresh_database(self) -> None:
        """Read what the server says of the database, as `refresh` does."""
        await self._database.refresh()

    async def close(self) -> None:
        """End what is being read, and forget what was."""
        for figure in self._figures:
            await figure.forget()


class _Figure(Generic[T]):
    """Something to be read: how, where it is put (None: unknown), and how long it may be shown."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[T]],
        put: Callable[[T | None], None],
        fresh_s: float,
        now_s: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._put = put
        self._fresh_s = fresh_s
        self._now_s = now_s
        self._fresh_until_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Read it unless it is fresh, or being read; hide it if that takes too long."""
        if self._now_s() < self._fresh_until_s:
            return
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="pacewheel observer")
        await asyncio.wait({self._reading}, timeout=WAIT_S)
        if self._reading is not None:
            self._put(None)

    async def _read(self) -> None:
        try:
            value = await self._ask()
        except PacewheelError as error:
            log.debug("figures could not be read: %s", error)
            self._put(None)
        else:
            self._put(value)
        finally:
            self._fresh_until_s = self._now_s() + self._fresh_s
            self._reading = None

    async def forget(self) -> None:
        reading = self._reading
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
        self._put(None)
        self._fresh_until_s = float("-inf")
