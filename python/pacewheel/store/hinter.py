"""Hints that this process sends: at most one NOTIFY in ten milliseconds, however much it does.

The first statement after a quiet window sends its hint itself, at no cost of a round trip, and
opens a window. Statements within it send none: what they would have said is noted, and one `notify`
at the window's end says it all. What concerns this very process is told at once, without the
database, and a domain that it holds is nobody else's business.

A hint may be lost: one that could not be sent is counted and forgotten, as the sweep finds the
same. Nothing here needs to survive.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.errors import StoreError
from pacewheel.logs import Logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pacewheel.metrics import Metrics
    from pacewheel.store.pool import WorkPool

log = Logger("hinter")

WINDOW_S = 0.01
# A payload may have 8,000 bytes, an id 20 digits.
IDS_A_HINT_MAX = 300
# Beyond so many ids of one verb, everybody looks at everything.
IDS_A_VERB_MAX = 3000
LOOK_AT_ALL = "all"


class Hinter:
    """Sends hints, together where it can."""

    def __init__(self, pool: WorkPool, queries: Mapping[str, str], metrics: Metrics) -> None:
        self._pool = pool
        self._queries = queries
        self._metrics = metrics
        self._noted: dict[str, set[int]] = {}
        self._window: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self.tell_here: Callable[[str, list[int]], list[int]] = lambda _verb, ids: ids
        """Tells this process; returns the ids that others are to hear of."""

    def leads(self) -> bool:
        """True when the caller's statement is to send its hint itself: no window is open."""
        if self._window is not None:
            return False
        self._open_window()
        return True

    def committed(self, verb: str, ids: Iterable[int], *, notified: bool) -> None:
        """Say what a statement has done, once it is committed; `notified` is what `leads` said."""
        here = list(ids)
        if not here:
            return
        for_others = self.tell_here(verb, here)
        if notified:
            self._metrics.hints_sent.labels(verb).inc()
        elif for_others:
            self._note(verb, for_others)
            if self._window is None:
                self._send()

    def _note(self, verb: str, ids: Iterable[int]) -> None:
        noted = self._noted.setdefault(verb, set())
        noted.update(ids)
        if len(noted) > IDS_A_VERB_MAX:
            self._noted = {LOOK_AT_ALL: set()}

    def _open_window(self) -> None:
        self._window = asyncio.get_running_loop().call_later(WINDOW_S, self._end_window)

    def _end_window(self) -> None:
        self._window = None
        if self._noted:
            self._send()

    def _send(self) -> None:
        self._open_window()
        # While one is under way, the next window's end looks again.
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._flush(), name="pacewheel hinter")

    async def _flush(self) -> None:
        noted, self._noted = self._noted, {}
        payloads = [
            " ".join((verb, *map(str, ids[start : start + IDS_A_HINT_MAX])))
            for verb, ids in ((verb, sorted(ids)) for verb, ids in noted.items())
            for start in range(0, max(1, len(ids)), IDS_A_HINT_MAX)
        ]
        try:
            await self._pool.fetch(self._queries["notify"], payloads)
        except StoreError as error:
            log.say(events.HINTS_UNSENT, hints=len(payloads), error=error)
            for verb in noted:
                self._metrics.hints_lost.labels(verb).inc()
        else:
            for verb in noted:
                self._metrics.hints_sent.labels(verb).inc()

    async def close(self) -> None:
        """Send what is noted, and let the loop's timer go."""
        if self._window is not None:
            self._window.cancel()
            self._window = None
        if self._sending is not None:
            await self._sending
        if self._noted:
            await self._flush()
