"""Canceller: the safety net under the hints that stop handlers.

A cancelled job or task is told to every process at once. Whoever missed that (no listener, a hint
that was lost) asks here, every few seconds, which of the tasks that it has been running for longer
than that are live no more. A process whose handlers are quicker asks nothing.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

CHECK_S = 5.0
TASKS_A_CHECK_MAX = 1000


class Canceller(Service):
    """Stops handlers whose task has ended without them."""

    def __init__(
        self,
        *,
        running_for: Callable[[float], list[tuple[int, int]]],
        find_ended: Callable[[Sequence[tuple[int, int]]], Awaitable[list[int]]],
        stop_tasks: Callable[[list[int]], None],
    ) -> None:
        super().__init__()
        self._running_for = running_for
        self._find_ended = find_ended
        self._stop_tasks = stop_tasks
        self._least_s = CHECK_S
        self._missed = asyncio.Event()

    def look_soon(self) -> None:
        """Ask at once, and for all that runs: hints may have been missed."""
        self._least_s = 0.0
        self._missed.set()

    async def _loop(self) -> None:
        while True:
            try:
                async with asyncio.timeout(CHECK_S * random.uniform(0.9, 1.1)):
                    await self._missed.wait()
            except TimeoutError:
                pass
            await self.run_once()

    async def run_once(self) -> int:
        """Ask once; return how many handlers are to stop."""
        self._missed.clear()
        least_s, self._least_s = self._least_s, CHECK_S
        running = self._running_for(least_s)
        ended: list[int] = []
        for start in range(0, len(running), TASKS_A_CHECK_MAX):
            ended += await self._find_ended(running[start : start + TASKS_A_CHECK_MAX])
        if ended:
            self._stop_tasks(ended)
        return len(ended)
