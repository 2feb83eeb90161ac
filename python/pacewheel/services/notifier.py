"""Notifier: turns hints from LISTEN into calls, and keeps the listening connection alive.

A hint may be lost at any time and nothing depends on it: the sweep finds the same, later. Every
time the connection is made (again), everything is looked at once, as hints may have been missed.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger("pacewheel.notifier")


class Notifier(Service):
    """Passes hints on: `enqueued`, `raised` and `released` domains, `cancelled` jobs."""

    def __init__(
        self,
        *,
        listen: Callable[[Callable[[str, list[int]], None]], Awaitable[None]],
        on_enqueued: Callable[[list[int]], None],
        on_raised: Callable[[list[int]], None],
        on_released: Callable[[], None],
        on_cancelled: Callable[[int], object],
        on_listening: Callable[[], None],
    ) -> None:
        super().__init__()
        self._listen = listen
        self._on_enqueued = on_enqueued
        self._on_raised = on_raised
        self._on_released = on_released
        self._on_cancelled = on_cancelled
        self._on_listening = on_listening

    async def _loop(self) -> None:
        await self._listen(self._on_hint)

    def _on_hint(self, verb: str, ids: list[int]) -> None:
        match verb:
            case "enqueued":
                self._on_enqueued(ids)
            case "raised":
                self._on_raised(ids)
            case "released":
                self._on_released()
            case "cancelled":
                for job_id in ids:
                    self._on_cancelled(job_id)
            case "listening":
                self._on_listening()
            case _:
                log.debug("a hint of another version: %s", verb)
