"""Sweeper: the safety net under timers and hints, once a minute, and oftener while no hints arrive.

Marks every held domain due, so that a missed hint, a straggler whose timer was lost or refused, or
a waiting task that came within the horizon is found, lets the leaser look for unowned domains, and
keeps the partitions of results ahead of the calendar.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from pacewheel.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pacewheel.metrics import Metrics

PARTITIONS_AHEAD_DAYS = 3
SWEEPS_A_PARTITION_CHECK = 60
# A process that hears nothing sweeps at least so often: it is all that finds new work for it.
DEAF_SWEEP_S = 5.0


class Sweeper(Service):
    """Looks at everything, rarely."""

    def __init__(
        self,
        *,
        look_at_all: Callable[[], None],
        ensure_partitions: Callable[[int], Awaitable[int]],
        hears: Callable[[], bool],
        sweep_s: float,
        metrics: Metrics,
    ) -> None:
        super().__init__()
        self._look_at_all = look_at_all
        self._ensure_partitions = ensure_partitions
        self._hears = hears
        self._sweep_s = sweep_s
        self._metrics = metrics
        self._sweeps = 0

    async def _loop(self) -> None:
        while True:
            await self.run_once()
            left_s = self._sweep_s * random.uniform(0.9, 1.1)
            while left_s > 0:
                step_s = min(left_s, DEAF_SWEEP_S)
                await asyncio.sleep(step_s)
                left_s = left_s - step_s if self._hears() else 0.0

    async def run_once(self) -> int:
        """Sweep once; return how many partitions were created."""
        self._look_at_all()
        self._metrics.sweeps.inc()
        self._sweeps += 1
        if self._sweeps % SWEEPS_A_PARTITION_CHECK == 1:
            return await self._ensure_partitions(PARTITIONS_AHEAD_DAYS)
        return 0
