"""One look at everything, for all who watch.

Owns the overview: made once a second while anybody watches (a stream of events, or who has asked
within the last seconds), and not at all otherwise; then only a sample of this process's own
metrics is kept every few seconds, and the database is left alone. While the database is away or
slow, the overview goes on with what is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.errors import StoreUnavailable
from pacewheel.logs import Logger
from pacewheel.web import overview
from pacewheel.web.answers import as_json
from pacewheel.web.growth import Growth
from pacewheel.web.history import History
from pacewheel.web.samples import Samples

if TYPE_CHECKING:
    from pacewheel.web.ports import Engine, Life
    from pacewheel.web.reading import Reading

log = Logger("web")

WATCHED_S = 1.0
UNWATCHED_S = 5.0
FRESH_S = 1.5
# Who asks now and then is watching until then.
POLLER_S = 10.0
PATIENCE_S = 5.0


class Watch:
    """Looks, remembers, and wakes those who watch."""

    def __init__(self, engine: Engine, life: Life, reading: Reading) -> None:
        self._engine = engine
        self._life = life
        self._reading = reading
        self.history = History()
        self._growth = Growth()
        self.latest_json = b""
        """The latest overview."""
        self.number = 0
        """Counts the overviews made."""
        self.watchers = 0
        """Streams that are open."""
        self._made = asyncio.Condition()
        self._made_s = float("-inf")
        self._asked_s = float("-inf")
        self._wanted = asyncio.Event()
        self._began_s = time.monotonic()
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start looking."""
        self._looking = asyncio.create_task(self._look_again_and_again(), name="pacewheel watch")

    async def stop(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._reading.stop()

    @property
    def is_fresh(self) -> bool:
        """True while the latest overview is one of about this second."""
        return time.monotonic() - self._made_s < FRESH_S

    async def overview(self) -> bytes:
        """Return an overview of about this second, as JSON.

        Raises:
            StoreUnavailable: none could be made.
        """
        self._asked_s = time.monotonic()
        if not self.is_fresh:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self.next_after(self.number)
            except TimeoutError:
                raise StoreUnavailable("no overview could be made: see the log") from None
        return self.latest_json

    async def next_after(self, number: int) -> int:
        """Wait for an overview that is made after the one of this number; return its number."""
        self._wanted.set()
        async with self._made:
            await self._made.wait_for(lambda: self.number > number)
            return self.number

    async def _look_again_and_again(self) -> None:
        while True:
            is_watched = (
                self._wanted.is_set()
                or self.watchers > 0
                or time.monotonic() - self._asked_s < POLLER_S
            )
            self._wanted.clear()
            began_s = time.monotonic()
            try:
                await self._look(is_watched=is_watched)
            except Exception as error:  # noqa: BLE001 - what watches must not end what it watches
                log.say(events.HTTP_DEFECT, error=error, traceback=error)
            passed_s = time.monotonic() - began_s
            if is_watched:
                # Twice a second at most is looked, however many ask.
                await asyncio.sleep(max(WATCHED_S / 2, WATCHED_S - passed_s))
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(UNWATCHED_S - passed_s):
                        await self._wanted.wait()

    async def _look(self, *, is_watched: bool) -> None:
        fresh = await self._reading.refresh() if is_watched else False
        metrics = self._engine.metrics
        samples = Samples(metrics.registry, time.monotonic())
        self._growth.note(samples, metrics, self._reading.totals if fresh else None)
        sample = overview.sample_of(samples, self._growth, datetime.now(UTC), self._reading.recent)
        # Looked at now and then, it speaks of the last minutes and no longer ago.
        metrics.transaction_times()
        if is_watched:
            uptime_s = samples.at_s - self._began_s
            made = overview.build(
                engine=self._engine,
                life=self._life,
                reading=self._reading,
                samples=samples,
                sample=sample,
                growth=self._growth,
                history=self.history,
                uptime_s=uptime_s,
            )
            self.latest_json = as_json(overview.overview_json(made))
            self._made_s = samples.at_s
        self.history.add(sample)
        if is_watched:
            async with self._made:
                self.number += 1
                self._made.notify_all()
