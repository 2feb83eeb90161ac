"""The one shape of a background service: idempotent start and stop, and a loop that is supervised.

A loop that raises is logged, counted and started again after a jittered pause: one failing service
must not take the process down, nor die in silence. One that fails again and again without ever
running for a while has a broken invariant: it gives up and says so through `on_failure`, and the
engine ends. An unavailable database is neither; it is waited for, however long. Cancelling is the
way to stop a loop.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.errors import StoreUnavailable
from pacewheel.logs import Logger

if TYPE_CHECKING:
    from collections.abc import Callable

log = Logger("service")

RESTART_PAUSE_S = 0.1
# Short against a lease: the first process back must not find all others expired.
UNAVAILABLE_PAUSE_S = 0.5
# A loop that ran so long is in order again.
STEADY_S = 10.0
CRASHES_IN_A_ROW_MAX = 5
# Longer than a loop takes to leave its statement and its connection.
CANCEL_AGAIN_S = 5.0


class Service(ABC):
    """Base of the services; a subclass gives `_loop`, which runs until it is cancelled."""

    def __init__(self) -> None:
        self.on_failure: Callable[[str, Exception], None] | None = None
        """Called with the service's name and the error when it gives up."""
        self.on_crash: Callable[[], None] | None = None
        """Called each time that its loop has failed."""
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """The service's name in logs."""
        return type(self).__name__.lower()

    async def start(self) -> None:
        """Start the loop; a second call changes nothing."""
        if self._supervisor is None:
            self._supervisor = asyncio.create_task(self._supervise(), name=f"pacewheel {self.name}")

    async def stop(self) -> None:
        """Cancel the loop and wait for its end; a second call changes nothing."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            while not supervisor.done():
                # Again and again: `wait_for` of Python 3.11 loses a cancellation that comes with
                # what it waits for. Not awaited itself: it could not be told from the caller's.
                supervisor.cancel()
                await asyncio.wait({supervisor}, timeout=CANCEL_AGAIN_S)

    @abstractmethod
    async def _loop(self) -> None:
        """Work until cancelled."""

    async def _supervise(self) -> None:
        in_a_row = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._loop()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is said with its traceback
                if asyncio.get_running_loop().time() - began > STEADY_S:
                    in_a_row = 0
                if isinstance(error, StoreUnavailable):
                    # The store has said that the database is lost.
                    log.say(events.SERVICE_WAITING, service=self.name, error=error)
                    pause_s = UNAVAILABLE_PAUSE_S
                else:
                    log.say(events.SERVICE_CRASHED, service=self.name, traceback=error)
                    if self.on_crash is not None:
                        self.on_crash()
                    in_a_row += 1
                    if in_a_row >= CRASHES_IN_A_ROW_MAX and self.on_failure is not None:
                        self.on_failure(self.name, error)
                        return
                    pause_s = RESTART_PAUSE_S * 2.0**in_a_row
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
