"""What the database says for the overview: the last answer, how old it is, and what went wrong.

The observer asks, and nobody waits long for it: a late answer is for a later overview.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pacewheel.web.ports import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.model import StuckJob
    from pacewheel.overview import Totals
    from pacewheel.web.ports import Engine, Life

PATIENCE_S = 0.5
RECENT_S = 5.0


class Reading:
    """The database's part of the overview."""

    def __init__(self, engine: Engine, life: Life) -> None:
        self._engine = engine
        self._life = life
        self.totals: Totals | None = None
        """The last ones; those of a database that is away stay."""
        self._read_s = 0.0
        self._asking: asyncio.Task[None] | None = None

    @property
    def age_s(self) -> float | None:
        """How old `totals` are; None before the first."""
        return None if self.totals is None else time.monotonic() - self._read_s

    @property
    def recent(self) -> Totals | None:
        """The totals, unless they are too old to stand for this moment."""
        return None if self.age_s is None or self.age_s > RECENT_S else self.totals

    @property
    def trouble(self) -> str | None:
        """Why the database could not be read the last time."""
        if self._life.phase is Phase.STARTING:
            return self._life.waits_for or "the process is starting"
        return self._engine.observer.trouble

    @property
    def stuck(self) -> Sequence[StuckJob]:
        """The jobs that were found to be stuck."""
        return self._engine.metrics.totals.stuck or ()

    async def refresh(self) -> bool:
        """Let the observer look; tell whether new totals came at once."""
        if self._asking is None:
            looking = self._engine.observer.refresh()
            self._asking = asyncio.create_task(looking, name="pacewheel overview")
        done, _ = await asyncio.wait({self._asking}, timeout=PATIENCE_S)
        if done:
            self._asking = None
        found = self._engine.metrics.totals.figures
        if found is None or found is self.totals:
            return False
        self.totals = found
        self._read_s = time.monotonic()
        return True

    async def stop(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
