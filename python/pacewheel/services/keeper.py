"""Keeper: starts the embedded server again when it was killed.

Only an engine without a DSN has one. Connections that broke are opened again by those who use them;
this service sees to it that there is something to connect to.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_S = 1.0


class Keeper(Service):
    """Looks every second, in a thread, whether the server is there."""

    def __init__(self, *, ensure_running: Callable[[], None]) -> None:
        super().__init__()
        self._ensure_running = ensure_running

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self._ensure_running)
