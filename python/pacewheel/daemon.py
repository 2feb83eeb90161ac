"""The life of a daemon: start when the database is there, work until a signal, drain, stop.

Owns the signals of its process meanwhile. Promises to wait for a database that is away, however
long, so that what supervises the process need not start it again and again; a server that is there
and refuses is an error at once.
"""

from __future__ import annotations

import asyncio
import random
import signal
from typing import TYPE_CHECKING, Protocol

from pacewheel import events
from pacewheel.errors import StoreRefused, StoreUnavailable
from pacewheel.logs import Logger
from pacewheel.outage import Outage
from pacewheel.web import WebServer
from pacewheel.web.ports import Engine, Life, Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable

log = Logger("daemon")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
START_PAUSE_S = 1.0
FAILED = 0
"""Asks to stop because a part of the engine gave up; no signal has this number."""


class Daemon(Engine, Protocol):
    """What is run: the engine."""

    async def start(self) -> None:
        """Start, or raise and leave nothing half-done."""

    async def stop(self, grace_s: float | None = None) -> None:
        """Drain and stop; what does not run is not stopped again."""

    def interrupt(self) -> None:
        """Wait no longer for what the drain waits for."""

    def note_outage(self) -> None:
        """Take note, before the start, that the database was away."""


async def run_until_asked(engine: Daemon, asked: asyncio.Queue[int]) -> None:
    """Run the engine until `asked` or a signal, at its start too.

    A second signal interrupts what the drain waits for, a third ends the process.

    Raises:
        StoreRefused, SchemaMismatch, EmbeddedError: the database can't be had by waiting.
        ConfigInvalid: the HTTP server's port can't be had.
    """
    async with WebServer(engine) as web:
        await _run(engine, asked, web.life)


async def _run(engine: Daemon, asked: asyncio.Queue[int], life: Life) -> None:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, asked.put_nowait, number)
    try:
        if not await _start_patiently(engine, asked, life):
            return
        life.phase = Phase.RUNNING
        if await asked.get() != FAILED:
            life.phase = Phase.DRAINING
            log.say(events.PROCESS_DRAINING, grace_s=engine.config.grace_s)
            interrupting = asyncio.create_task(_interrupt_when_asked(engine, asked))
            try:
                await engine.stop()
            finally:
                interrupting.cancel()
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        await engine.stop(0.0)


async def _interrupt_when_asked(engine: Daemon, asked: asyncio.Queue[int]) -> None:
    await asked.get()
    engine.interrupt()
    for number in SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)
        # Not a KeyboardInterrupt, after which the loop would wait for all that is under way.
        signal.signal(number, signal.SIG_DFL)


async def _start_patiently(engine: Daemon, asked: asyncio.Queue[int], life: Life) -> bool:
    """Start as soon as the database is there; return False when asked to stop meanwhile."""
    outage = Outage()
    while True:
        try:
            started = await _unless_asked(engine.start(), asked)
            outage.over()
            life.waits_for = None
            return started
        except StoreRefused:
            raise
        except StoreUnavailable as error:
            outage.failed(error)
            engine.note_outage()
            life.waits_for = str(error)
        if not await _unless_asked(asyncio.sleep(START_PAUSE_S * random.uniform(0.5, 1.5)), asked):
            return False


async def _unless_asked(work: Awaitable[None], asked: asyncio.Queue[int]) -> bool:
    """Return True when the work is done; asked to stop before that, cancel it and return False."""
    working = asyncio.ensure_future(work)
    asking = asyncio.create_task(asked.get())
    try:
        await asyncio.wait({working, asking}, return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            return False
        await working
        return True
    finally:
        asking.cancel()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
