"""The shape of a service: its loop is supervised, and its stop can itself be cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from pacewheel import service as service_module
from pacewheel.service import CRASHES_IN_A_ROW_MAX, Service
from tests.conftest import until


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


class Losing(Service):
    """Loses the first cancellation, as `wait_for` of Python 3.11 may."""

    async def _loop(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()


async def test_a_lost_cancellation_delays_a_stop_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It hung for ever: one start and stop in some hundreds on a busy machine."""
    monkeypatch.setattr(service_module, "CANCEL_AGAIN_S", 0.01)
    service = Losing()
    await service.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(60.0):
        await service.stop()


class Crashing(Service):
    """Crashes at once, but for one time that it runs for a while before."""

    def __init__(self, *, steady_time: int) -> None:
        super().__init__()
        self.steady_time = steady_time
        self.times = 0
        self.gave_up_after: int | None = None
        self.on_failure = self._on_failure

    def _on_failure(self, _name: str, _error: Exception) -> None:
        self.gave_up_after = self.times

    async def _loop(self) -> None:
        self.times += 1
        if self.times == self.steady_time:
            await asyncio.sleep(2 * service_module.STEADY_S)
        raise AssertionError


@pytest.mark.parametrize(
    ("steady_time", "gives_up_after"),
    [(0, CRASHES_IN_A_ROW_MAX), (CRASHES_IN_A_ROW_MAX, 2 * CRASHES_IN_A_ROW_MAX - 1)],
    ids=["never steady", "steady the last time"],
)
async def test_only_crashes_in_a_row_make_a_service_give_up(
    monkeypatch: pytest.MonkeyPatch, steady_time: int, gives_up_after: int
) -> None:
    """A time in which the loop ran steadily ends the row, also when it is the last but one."""
    monkeypatch.setattr(service_module, "RESTART_PAUSE_S", 0.0001)
    monkeypatch.setattr(service_module, "STEADY_S", 0.5)
    service = Crashing(steady_time=steady_time)
    await service.start()
    await until(lambda: service.gave_up_after is not None)
    assert gives_up_after == service.gave_up_after
    await service.stop()
