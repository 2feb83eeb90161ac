"""What the database says for the overview: the last answer, how old it is, and what went wrong.

One question is under way at most, and the next one waits for four times as long as the last one
took, so that looking stays a small part of the load however large the tables are.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pacewheel.errors import PacewheelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.model import StuckJob
    from pacewheel.overview import Totals
    from pacewheel.web.database import Database
    from pacewheel.web.ports import Engine

PATIENCE_S = 0.5
PAUSE_SHARE = 4.0
STUCK_S = 15.0


class Reading:
    """The database's part of the overview."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine = engine
        self._database = database
        self.totals: Totals | None = None
        self.stuck: Sequence[StuckJob] = ()
        self.trouble: str | None = None
        """Why the last question failed."""
        self._asking: asyncio.Task[Totals] | None = None
        self._read_s = float("-inf")
        self._stuck_s = float("-inf")
        self._next_s = float("-inf")

    @property
    def age_s(self) -> float | None:
        """How old `totals` are; None before the first."""
        return None if self.totals is None else time.monotonic() - self._read_s

    async def refresh(self) -> Totals | None:
        """Return new totals if they come at once; an answer that takes longer is for a later call."""
        if self._asking is None:
            if time.monotonic() < self._next_s:
                return None
            self._asking = asyncio.create_task(self._ask(), name="pacewheel overview")
        done, _ = await asyncio.wait({self._asking}, timeout=PATIENCE_S)
        if not done:
            return None
        asked, self._asking = self._asking, None
        try:
            self.totals = asked.result()
        except PacewheelError as error:
            self.trouble = str(error)
            return None
        self.trouble = None
        return self.totals

    async def stop(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> Totals:
        began_s = time.monotonic()
        totals = await self._database.ask(lambda store: store.overview.count_totals())
        if began_s - self._stuck_s > STUCK_S:
            self.stuck = await self._database.ask(lambda _: self._engine.find_stuck_jobs())
            self._stuck_s = time.monotonic()
        self._read_s = time.monotonic()
        self._next_s = self._read_s + PAUSE_SHARE * (self._read_s - began_s)
        return totals
