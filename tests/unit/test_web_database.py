"""Questions to the database: so many at once, the others in their turn; old answers stand for no moment."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from pacewheel.web.database import AT_ONCE_MAX, CHANGES_AT_ONCE_MAX, Database
from pacewheel.web.ports import Life, Phase
from pacewheel.web.reading import RECENT_S, Reading


@pytest.mark.parametrize(
    ("kind", "most"),
    [("ask", AT_ONCE_MAX), ("ask_at_length", 1), ("change", CHANGES_AT_ONCE_MAX)],
)
async def test_so_many_are_asked_at_once(kind: str, most: int) -> None:
    """They share the connections of the work; nobody is forgotten."""
    database = Database(SimpleNamespace(store=None), Life(Phase.RUNNING))  # type: ignore[arg-type]
    let_go = asyncio.Event()
    begun: list[int] = []

    async def question(_store: object) -> int:
        begun.append(len(begun))
        await let_go.wait()
        return 1

    answers = [asyncio.create_task(getattr(database, kind)(question)) for _ in range(12)]
    # Every one of them has had its turn of the loop, and those of its questions too.
    for _ in range(5):
        await asyncio.sleep(0)
    assert most == len(begun)
    let_go.set()
    assert [1] * 12 == await asyncio.gather(*answers)


async def test_old_totals_are_shown_and_not_remembered() -> None:
    """Charts have a gap where the database had not answered for seconds."""

    async def refresh() -> None:
        pass

    metrics = SimpleNamespace(totals=SimpleNamespace(figures=object()))
    engine = SimpleNamespace(metrics=metrics, observer=SimpleNamespace(refresh=refresh))
    reading = Reading(engine, Life())  # type: ignore[arg-type]
    assert (None, None) == (reading.age_s, reading.recent)
    assert await reading.refresh()
    assert reading.recent is reading.totals is metrics.totals.figures
    assert not await reading.refresh()
    reading._read_s = time.monotonic() - RECENT_S - 1
    assert reading.recent is None
    assert reading.totals is metrics.totals.figures
