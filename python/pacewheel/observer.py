"""Observer: what only the database knows, read when somebody looks at the metrics.

Owns when it is read. While nobody looks nothing is asked, so an idle process stays as quiet as it
is; of several who look at once one reads. Nobody is held up by a database that is away or slow:
what could not be read is not shown, and what is not read in time is for the next look; until then
what was read before stands, for a minute at most.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pacewheel import events
from pacewheel.errors import PacewheelError
from pacewheel.logs import Logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pacewheel.metrics import Metrics
    from pacewheel.metrics.figures import DatabaseFigures
    from pacewheel.model import StuckJob
    from pacewheel.overview import Totals
    from pacewheel.store import Store

log = Logger("observer")

# Totals move with every claim and cost a read of the live jobs; the others move slowly, and the
# size of the database is a look at each of its files.
TOTALS_FRESH_S = 0.9
OTHERS_FRESH_S = 15.0
# What took long is read less often, so that looking stays a small part of the load.
FRESH_SHARE = 4.0
SLOW_FRESH_MAX_S = 5.0
# A server that takes seconds for its figures has them all the same, each a look late.
SHOWN_S = 60.0
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

        def put_stuck(jobs: Sequence[StuckJob] | None) -> None:
            metrics.totals.stuck = jobs

        def put_database(figures: DatabaseFigures | None) -> None:
            metrics.database.figures = figures

        async def count_totals() -> Totals:
            return await store().overview.count_totals()

        async def find_stuck() -> Sequence[StuckJob]:
            return await store().explanations.find_stuck_jobs(STUCK_S)

        async def read_database() -> DatabaseFigures:
            return await store().figures.read_database()

        self._totals = _Figure(count_totals, put_totals, TOTALS_FRESH_S, now_s)
        self._figures: list[_Figure[Any]] = [
            self._totals,
            _Figure(find_stuck, put_stuck, OTHERS_FRESH_S, now_s),
            _Figure(read_database, put_database, OTHERS_FRESH_S, now_s),
        ]

    @property
    def trouble(self) -> str | None:
        """Why the live tasks could not be counted at the last look; None when they could."""
        return self._totals.trouble

    async def refresh(self) -> None:
        """Read what is too old; return within two seconds, whatever becomes of it. Raises nothing."""
        reads = [figure.read() for figure in self._figures if figure.is_old()]
        if reads:
            await asyncio.wait(reads, timeout=WAIT_S)
            for figure in self._figures:
                figure.hide_if_late()

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
        self._fresh_until_s = self._shown_until_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self.trouble: str | None = None

    def is_old(self) -> bool:
        return self._now_s() >= self._fresh_until_s

    def read(self) -> asyncio.Task[None]:
        """Return the task that reads it, which may have begun before."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="pacewheel observer")
        return self._reading

    async def _read(self) -> None:
        began_s = self._now_s()
        fresh_s = self._fresh_s
        value = None
        try:
            value = await self._ask()
        except PacewheelError as error:
            log.say(events.FIGURES_UNREAD, error=error)
            self.trouble = str(error)
        else:
            self.trouble = None
            now_s = self._now_s()
            self._shown_until_s = now_s + SHOWN_S
            fresh_s = max(fresh_s, min(FRESH_SHARE * (now_s - began_s), SLOW_FRESH_MAX_S))
        finally:
            self._put(value)
            self._fresh_until_s = self._now_s() + fresh_s
            self._reading = None

    def hide_if_late(self) -> None:
        if self._reading is not None:
            self.trouble = f"it has not answered within {WAIT_S:g} s"
            if self._now_s() >= self._shown_until_s:
                self._put(None)

    async def forget(self) -> None:
        reading = self._reading
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
        self._put(None)
        self._fresh_until_s = self._shown_until_s = float("-inf")
