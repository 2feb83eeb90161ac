"""The life of a daemon: start when the database is there, work until a signal, drain, stop.

Owns the signals of its process meanwhile. Promises to wait for a database that is away, however
long, so that what supervises the process need not start it again and again; a server that is there
and refuses is an error at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
from typing import Protocol

from pacewheel.config import Config
from pacewheel.errors import StoreRefused, StoreUnavailable

log = logging.getLogger("pacewheel.daemon")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
START_PAUSE_S = 1.0
FAILED = 0
"""Asks to stop because a part of the engine gave up; no signal has this number."""


class Daemon(Protocol):
    """What is run: the engine."""

    config: Config

    async def start(self) -> None:
        """Start, or raise and leave nothing half-done."""

    async def stop(self, grace_s: float | None = None) -> None:
        """Drain and stop; what does not run is not stopped again."""

    def interrupt(self) -> None:
        """Wait no longer for what the drain waits for."""

    def note_outage(self) -> None:
        """Take note, before the start, that the database was away."""


async def run_until_asked(engine: Daemon, asked: asyncio.Queue[int]) -> int | None:
    """Run the engine until `asked` or a signal; return which, None if it came before the start.

    A second signal interrupts what the drain waits for.

    Raises:
        StoreRefused, SchemaMismatch, EmbeddedError: the database can't be had by waiting.
    """
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, asked.put_nowait, number)
    try:
        if not await _start_patiently(engine, asked):
            return None
        reason = await asked.get()
        if reason == FAILED:
            return reason
        log.info("draining: no new tasks, %g s for those that run", engine.config.grace_s)
        stopping = asyncio.create_task(engine.stop())
        again = asyncio.create_task(asked.get())
        await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            engine.interrupt()
        again.cancel()
        await stopping
        return reason
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        await engine.stop(0.0)


async def _start_patiently(engine: Daemon, asked: asyncio.Queue[int]) -> bool:
    """Start as soon as the database is there; return False when asked to stop meanwhile."""
    level = logging.WARNING
    while True:
        try:
            await engine.start()
            return True
        except StoreRefused:
            raise
        except StoreUnavailable as error:
            # Said once an outage, not once a try.
            log.log(level, "the start waits for the database: %s", error)
            level = logging.DEBUG
            engine.note_outage()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_PAUSE_S * random.uniform(0.5, 1.5)):
                await asked.get()
                return False
