"""A connection that is on its way while all others are closed."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from pacewheel.errors import StoreUnavailable
from pacewheel.metrics import Metrics
from pacewheel.store.connections import Connections


async def test_a_connection_that_comes_after_the_end_is_closed_at_once(dsn: str) -> None:
    """Who asked for it learns that all are closed; nobody would close it later."""
    made: list[asyncpg.Connection] = []
    under_way, may_come = asyncio.Event(), asyncio.Event()

    async def connect() -> asyncpg.Connection:
        made.append(await asyncpg.connect(dsn))
        under_way.set()
        await may_come.wait()
        return made[0]

    connections = Connections(connect, where="d", limit=1, idle_max=1, metrics=Metrics())

    async def use() -> None:
        async with connections.lend():
            pytest.fail("it was lent")

    using = asyncio.create_task(use())
    await under_way.wait()
    await connections.close(0.0)
    may_come.set()
    with pytest.raises(StoreUnavailable, match="are closed"):
        await using
    assert made[0].is_closed()
    assert 0 == connections.open
