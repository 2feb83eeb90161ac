"""The shape of a service: its loop is supervised, and its stop can itself be cancelled."""

from __future__ import annotations

import asyncio

import pytest

from pacewheel.service import Service


class Reluctant(Service):
    """Ends only when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.ending = asyncio.Event()
        self.let_go = asyncio.Event()

    async def _loop(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ending.set()
            await self.let_go.wait()


async def test_who_cancels_a_stop_is_not_ignored() -> None:
    """The loop's own cancellation is no error; that of the one who waits for it is passed on."""
    service = Reluctant()
    await service.start()
    await asyncio.sleep(0)
    stopping = asyncio.create_task(service.stop())
    await service.ending.wait()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    service.let_go.set()
    await service.stop()
