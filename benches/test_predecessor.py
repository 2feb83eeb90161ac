"""The engine against the design it replaces, on the same work and server: speed, CPU, statements.

The predecessor's statements stand in `predecessor/`: single claims that check capacity in the job's
row, completions of three transactions, triggers a row that count the job's tasks anew. Four workers
run them, as its study found best. Its jobs are small here (it slows down as they grow), so the
ratios are the least that the engine gains.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest
import uvloop

from benches.server import counting, cpu_s, statements
from benches.test_drain import FULL, JOBS, LIMIT, TASKS, engine_round

pytestmark = pytest.mark.requirement

SQL = {
    path.stem: path.read_text() for path in (Path(__file__).parent / "predecessor").glob("*.sql")
}
WORKERS = 4
PREDECESSOR_TASKS = 20_000 if FULL else 4_000


class Cost(NamedTuple):
    """Of one drain: tasks a second; the server's CPU and the statements of one task."""

    tasks_per_s: float
    server_us: float
    statements: float


async def predecessor_worker(dsn: str) -> int:
    """Claim and complete one task after the other until none is left; return how many."""
    connection = await asyncpg.connect(dsn)
    done = 0
    while True:
        async with connection.transaction():
            task = await connection.fetchrow(SQL["claim"])
            if task is not None and await connection.fetchval(SQL["take_slot"], task["job_id"]):
                await connection.execute(SQL["start"], task["id"])
        if task is None:
            left = "SELECT count(*) FROM predecessor.tasks WHERE status IN ('pending', 'waiting')"
            if await connection.fetchval(left) == 0:
                break
            continue
        await connection.execute(SQL["complete"], task["id"])
        await connection.execute(SQL["give_slot"], task["job_id"])
        await connection.execute(SQL["promote"], task["job_id"])
        done += 1
    await connection.close()
    return done


async def measured(dsn: str, total: int, drain: Callable[[], Awaitable[float]]) -> Cost:
    """Return what a drain cost; it returns its seconds."""
    connection = await counting(dsn)
    try:
        backend_pid = await connection.fetchval("SELECT pg_backend_pid()")
        used_s, asked = cpu_s(backend_pid), await statements(connection)
        took_s = await drain()
        used_s, asked = cpu_s(backend_pid) - used_s, await statements(connection) - asked
    finally:
        await connection.close()
    return Cost(total / took_s, used_s / total * 1e6, asked / total)


async def predecessor_cost(dsn: str) -> Cost:
    """Load its tables and drain them.

    The completed tasks are counted here, not read from its jobs: of two completions at once the
    later may count without the earlier, and if they were a job's last ones it stays so.
    """
    connection = await asyncpg.connect(dsn)
    await connection.execute(SQL["schema"])
    await connection.execute(SQL["load"], JOBS, PREDECESSOR_TASKS // JOBS, LIMIT)
    await connection.execute(SQL["triggers"])
    await connection.execute("VACUUM ANALYZE predecessor.tasks, predecessor.jobs")

    async def drain() -> float:
        began_s = time.perf_counter()
        done = await asyncio.gather(*(predecessor_worker(dsn) for _ in range(WORKERS)))
        took_s = time.perf_counter() - began_s
        assert sum(done) == PREDECESSOR_TASKS
        return took_s

    cost = await measured(dsn, PREDECESSOR_TASKS, drain)
    rows = await connection.fetch(
        "SELECT count(*) FILTER (WHERE t.status = 'completed'),"
        " j.pending_tasks, j.waiting_tasks, j.running_tasks"
        " FROM predecessor.jobs j JOIN predecessor.tasks t ON t.job_id = j.id GROUP BY j.id"
    )
    await connection.close()
    assert [(PREDECESSOR_TASKS // JOBS, 0, 0, 0)] * JOBS == [tuple(row) for row in rows]
    return cost


async def engine_cost(dsn: str) -> Cost:
    """Enqueue and drain by the engine; CPU and statements of the enqueue count, too."""
    rates = []

    async def drain() -> float:
        rates.append((await engine_round(dsn, TASKS)).drained)
        return TASKS / rates[-1]

    return await measured(dsn, TASKS, drain)


def test_the_engine_against_its_predecessor(dsn: str, budget: Callable[[str, float], None]) -> None:
    """No-op tasks of 50 jobs limited to 20; the engine's CPU counts its enqueue, the other's not."""

    async def measure() -> tuple[Cost, Cost]:
        await engine_round(dsn, TASKS // 4)
        return await engine_cost(dsn), await predecessor_cost(dsn)

    engine, predecessor = uvloop.run(measure())
    for name, cost in (("engine", engine), ("predecessor", predecessor)):
        print(
            f"\n{name}: {cost.tasks_per_s:,.0f} tasks/s, server {cost.server_us:,.0f} us,"
            f" {cost.statements:.3g} statements a task",
            end="",
        )
    budget("predecessor: engine's tasks/s over its", engine.tasks_per_s / predecessor.tasks_per_s)
    budget("predecessor: engine's server CPU of its", engine.server_us / predecessor.server_us)
    budget("predecessor: statements saved", 100 * (1 - engine.statements / predecessor.statements))
