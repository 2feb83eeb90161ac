"""Notifier: turns hints from LISTEN into calls, and keeps the listening connection alive.

A hint may be lost at any time and nothing depends on it: the sweep finds the same, later. Every
time the connection is made (again), everything is looked at once, as hints may have been missed.
Where nothing can be listened to (a pooler without LISTEN), it goes on asking, less and less often,
and the process works by its sweeps.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.clock import monotonic_ms
from pacewheel.errors import StoreError
from pacewheel.logs import Logger
from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pacewheel.metrics import Metrics

log = Logger("notifier")

PAUSE_S = 0.25
PAUSE_MAX_S = 30.0


class Notifier(Service):
    """Passes hints on, by verb; their ids are those of domains, jobs, tasks or schedules."""

    def __init__(
        self,
        *,
        listen: Callable[[Callable[[str, list[int]], None]], Awaitable[None]],
        on_enqueued: Callable[[list[int]], None],
        on_raised: Callable[[list[int]], None],
        on_released: Callable[[], None],
        on_due: Callable[[list[int]], None],
        on_paced: Callable[[list[int]], None],
        on_changed: Callable[[list[int]], None],
        on_cancelled: Callable[[list[int]], None],
        on_stopped: Callable[[list[int]], None],
        on_scheduled: Callable[[], None],
        on_missed: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        super().__init__()
        self._listen = listen
        self._metrics = metrics
        self._hears = False
        self._deaf_since_ms: float | None = None
        self._verbs: dict[str, Callable[[list[int]], None]] = {
            "enqueued": on_enqueued,
            "raised": on_raised,
            "released": lambda _ids: on_released(),
            "due": on_due,
            "paced": on_paced,
            "changed": on_changed,
            "cancelled": on_cancelled,
            "stopped": on_stopped,
            "scheduled": lambda _ids: on_scheduled(),
            "all": lambda _ids: on_missed(),
            "listening": lambda _ids: on_missed(),
            "heard": lambda _ids: self._set_hears(hears=True),
        }

    def hears(self) -> bool:
        """True while hints arrive."""
        return self._hears

    def deliver(self, verb: str, ids: list[int]) -> None:
        """Pass a hint on, wherever it comes from."""
        handle = self._verbs.get(verb)
        if handle is None:
            log.say(events.HINT_UNKNOWN, verb=verb)
        else:
            handle(ids)

    async def stop(self) -> None:
        """Stop, and hear nothing more."""
        await super().stop()
        self._set_hears(hears=False)

    async def _loop(self) -> None:
        pause_s = PAUSE_S
        while True:
            try:
                await self._listen(self._on_hint)
            except StoreError as error:
                if self._deaf_since_ms is None:
                    self._deaf_since_ms = monotonic_ms()
                    log.say(events.HINTS_LOST, error=error)
            if self._hears:
                pause_s = PAUSE_S
            self._set_hears(hears=False)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
            self._metrics.listener_reconnects.inc()

    def _on_hint(self, verb: str, ids: list[int]) -> None:
        if verb not in {"listening", "heard"}:
            self._metrics.hints_received.labels(verb if verb in self._verbs else "other").inc()
        self.deliver(verb, ids)

    def _set_hears(self, *, hears: bool) -> None:
        self._hears = hears
        if hears and self._deaf_since_ms is not None:
            log.say(events.HINTS_BACK, duration_s=(monotonic_ms() - self._deaf_since_ms) / 1000)
            self._deaf_since_ms = None
        self._metrics.listener_up.set(hears)
