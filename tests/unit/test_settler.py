"""The settler without a database: what it says of outcomes that it could not write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pacewheel.errors import StoreUnavailable
from pacewheel.held import Held, HeldDomain
from pacewheel.metrics import Metrics
from pacewheel.model import Outcome, TaskState
from pacewheel.ports import Settlement
from pacewheel.services.settler import Settler

if TYPE_CHECKING:
    import pytest


class AwayStore:
    """A database that can't be reached."""

    async def settle_tasks(self, *_args: object) -> Any:
        """Fail."""
        raise StoreUnavailable("away")


def nothing(*_args: object) -> None:
    """Take note of nothing."""


async def test_a_drain_that_ends_with_its_grace_counts_what_was_under_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two outcomes are being settled and one waits behind them: three will run again."""
    held = Held(store=nothing, read_job=nothing, on_departed=nothing)
    held.worker_id = 1
    domain = HeldDomain(1, "a.example", 1, held)
    held.add(domain)
    settler = Settler(
        store=AwayStore(),
        held=held,
        metrics=Metrics(),
        on_lost=nothing,
        on_settled=nothing,
        on_raises=nothing,
        on_room=nothing,
        rows_max=2,
        queue_max=10,
    )
    for number in range(3):
        domain.unsettled[number] = 7
        settler.add(Settlement(1, number, 7, TaskState.COMPLETED, 1, 0, None, Outcome.completed()))
    await settler.start()
    await asyncio.sleep(0)
    assert 3 == await settler.drain(0.05)
    assert "3 outcomes could not be settled" in caplog.text
    await settler.stop()
