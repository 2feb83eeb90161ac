"""A wake that waits for a job's lock while its tasks go on."""

from __future__ import annotations

import asyncio

import asyncpg

from pacewheel import Engine, NewTask
from tests.conftest import fetch, until, waits_for_a_lock


async def test_a_task_that_was_retried_while_the_wake_waited_is_left_to_its_backoff(
    dsn: str,
) -> None:
    """It is due by the wake's snapshot; by the time of its lock it waits anew, for another reason."""
    engine = Engine(dsn)
    await engine.connect()
    await engine.create_job(
        domain="a.example", handler="none", tasks=[NewTask("t", ready_in_s=0.001)]
    )
    other = await asyncpg.connect(dsn)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM pacewheel.jobs FOR NO KEY UPDATE")
            wake = asyncio.create_task(engine.store.tasks.wake_tasks([1], 10))
            await until(lambda: waits_for_a_lock(dsn))
            # Another wake, a claim and a settle, as far as their rows go.
            await other.execute(
                "UPDATE pacewheel.tasks SET attempt = 1, waiting_reason = 0,"
                " ready_at = now() + interval '1 hour'"
            )
            await other.execute("UPDATE pacewheel.jobs SET backoff = 1")
        woken = await wake
    finally:
        await other.close()
        await engine.close()
    assert 0 == sum(answer.woken for answer in woken)
    (row,) = await fetch(dsn, "SELECT pending, waiting, backoff FROM pacewheel.jobs")
    assert (0, 1, 1) == tuple(row)
    assert [(1, 0)] == [
        tuple(row) for row in await fetch(dsn, "SELECT status, waiting_reason FROM pacewheel.tasks")
    ]
