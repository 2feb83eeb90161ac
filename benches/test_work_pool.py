"""What lending a connection costs, against the driver's own pool, which knows neither limit nor idle_max."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from pacewheel.store.pool import WorkPool

pytestmark = pytest.mark.slow

LENDINGS = 8_000
STATEMENTS = 4_000
AT_ONCE = 8
SIZE = 4
ROUNDS = 7


async def per_call_us(count: int, *calls: Callable[[], Awaitable[object]]) -> list[float]:
    """The least time each call takes, of rounds by turns, with more callers than connections."""

    async def caller(call: Callable[[], Awaitable[object]]) -> None:
        for _ in range(count // AT_ONCE):
            await call()

    best_s = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for number, call in enumerate(calls):
            began_s = time.perf_counter()
            await asyncio.gather(*(caller(call) for _ in range(AT_ONCE)))
            best_s[number] = min(best_s[number], time.perf_counter() - began_s)
    return [each / count * 1e6 for each in best_s]


async def nothing(_connection: asyncpg.Connection) -> None:
    """Take a connection and give it back."""
    await asyncio.sleep(0)


async def keep(_connection: asyncpg.Connection) -> None:
    """Reset nothing: as the work pool does."""


async def test_lending_costs_no_more_than_the_drivers_pool(
    dsn: str, budget: Callable[[str, float], None]
) -> None:
    """Eight callers on four connections: lending alone, and the smallest statement."""
    ours = WorkPool(dsn, size_max=SIZE, pooler=False)
    await ours.open()
    theirs = await asyncpg.create_pool(dsn, min_size=SIZE, max_size=SIZE, reset=keep)

    async def lend_theirs() -> None:
        async with theirs.acquire() as connection:
            await nothing(connection)

    async def ask_theirs() -> None:
        async with theirs.acquire() as connection:
            await connection.fetch("SELECT 1")

    ours_us, theirs_us = await per_call_us(LENDINGS, lambda: ours.run(nothing), lend_theirs)
    ours_statement_us, theirs_statement_us = await per_call_us(
        STATEMENTS, lambda: ours.fetch("SELECT 1"), ask_theirs
    )
    await ours.close()
    await theirs.close()
    budget("pool: lend", ours_us)
    budget("pool: lend over the driver's", ours_us / theirs_us)
    budget("pool: statement over the driver's", ours_statement_us / theirs_statement_us)
