"""SIGINT and SIGTERM for commands that work until they are done.

The first signal asks to stop (`asked`), or cancels the command while it has nothing to drain. The
second cancels whatever goes on, the third ends the process on the spot. Without a signal the
former handling is restored on exit.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Use as a context manager inside the task that is to be stopped."""

    def __init__(self) -> None:
        """Nothing is caught before the block is entered."""
        self.asked = asyncio.Event()
        self.drains = False
        """Whether there is work to drain, so that the first signal must not cancel."""
        self._signal: int | None = None
        self._count = 0
        self._task: asyncio.Task[object] | None = None

    def __enter__(self) -> Self:
        """Catch the signals; the current task is the one to cancel."""
        self._task = asyncio.current_task()
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back, or, after one, keep the process ending as it began to."""
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
            if self._signal is not None:
                # A KeyboardInterrupt while the loop closes would only make noise.
                signal.signal(number, self._on_late_signal)

    @property
    def exit_code(self) -> int:
        """128 and the first signal's number; 0 without one."""
        return 0 if self._signal is None else 128 + self._signal

    @property
    def at_once(self) -> bool:
        """True after the second signal."""
        return self._count > 1

    async def wait(self, timeout_s: float) -> None:
        """Return at the first signal, at the latest after `timeout_s`."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.asked.wait(), timeout_s)

    def _on_late_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 2:
            os._exit(self.exit_code)

    def _on_signal(self, number: int) -> None:
        self._signal = self._signal or number
        self._count += 1
        self.asked.set()
        if self._count > 2:
            os._exit(self.exit_code)
        if self._task is not None and (self._count > 1 or not self.drains):
            self._task.cancel()
