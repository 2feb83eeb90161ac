"""The life of a daemon with an engine that takes its time: every signal is heard."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from pacewheel import Config, Engine
from pacewheel.daemon import run_until_asked
from tests.conftest import until


class SlowEngine(Engine):
    """Starts, or stops, only when it is told to; notes what happens to it."""

    def __init__(self, *, starts: bool = True) -> None:
        super().__init__(config=Config(http_port=0))
        self.starts = starts
        self.starting = asyncio.Event()
        self.draining = asyncio.Event()
        self.drained = asyncio.Event()
        self.interrupts = 0
        self.story: list[str] = []

    async def start(self) -> None:
        """Start, or hang until it is cancelled."""
        self.starting.set()
        try:
            if not self.starts:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.story.append("start cancelled")
            raise
        self.story.append("started")

    async def stop(self, grace_s: float | None = None) -> None:
        """Drain until it is told that all is done; without grace, at once."""
        if grace_s is None:
            self.draining.set()
            await self.drained.wait()
            self.story.append("drained")

    def interrupt(self) -> None:
        """Count."""
        self.interrupts += 1

    def note_outage(self) -> None:
        """Nothing was away."""
        raise AssertionError


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_start_that_hangs(number: int) -> None:
    """A start may wait for a migration of another process, minutes long: it is cancelled."""
    engine = SlowEngine(starts=False)
    running = asyncio.create_task(run_until_asked(engine, asyncio.Queue()))
    await engine.starting.wait()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(running, 60)
    assert ["start cancelled"] == engine.story


async def test_a_second_signal_interrupts_and_a_third_would_end_the_process() -> None:
    """After the second, both signals end the process on the spot."""
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    engine = SlowEngine()
    running = asyncio.create_task(run_until_asked(engine, asyncio.Queue()))
    await engine.starting.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await engine.draining.wait()
    assert 0 == engine.interrupts
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: engine.interrupts == 1)
    handlers = [signal.getsignal(number) for number in former]
    for number, handler in former.items():
        signal.signal(number, handler)
    assert [signal.SIG_DFL] * 2 == handlers
    engine.drained.set()
    await asyncio.wait_for(running, 60)
    assert ["started", "drained"] == engine.story
