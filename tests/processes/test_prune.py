"""`pacewheel prune` is killed: what is gone is known to be gone, and the next run finishes it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial

import asyncpg

from tests.conftest import until, waits_for_a_lock
from tests.integration.old_rows import counts, make_older, past_engine, ran


def pruning(dsn: str) -> subprocess.Popen[bytes]:
    """Start a process that removes what is old."""
    return subprocess.Popen(
        [sys.executable, "-m", "pacewheel", "prune", "--yes", "--dsn", dsn],
        stdout=subprocess.DEVNULL,
    )


async def is_quiet(dsn: str) -> bool:
    """Tell whether no statement waits for a lock."""
    return not await waits_for_a_lock(dsn)


async def test_a_killed_process_is_followed_by_one_that_goes_on(dsn: str) -> None:
    """It is held up by a lock between the job's row and its tasks, then its documents, and killed there."""
    engine = past_engine(dsn)
    await engine.connect()
    old, last = await ran(engine, "a.example"), await ran(engine, "a.example")
    await engine.run_until_idle()
    await make_older(dsn, 31, old.id)
    left = []
    for table in ("tasks", "documents"):
        holding = await asyncpg.connect(dsn)
        async with holding.transaction():
            await holding.execute(f"LOCK TABLE pacewheel.{table} IN SHARE MODE")
            process = pruning(dsn)
            await until(partial(waits_for_a_lock, dsn), timeout_s=60)
            found = await counts(dsn, old.id)
            left.append({name: found[name] for name in ("jobs", "pruned_jobs", "tasks")})
            process.kill()
            await asyncio.to_thread(process.wait)
            # The server would end the statement first, since it has not heard of the death.
            await holding.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        await holding.close()
        await until(partial(is_quiet, dsn), timeout_s=60)
    gone = {"jobs": 0, "pruned_jobs": 1}
    assert [{**gone, "tasks": 5}, {**gone, "tasks": 0}] == left
    assert 0 == await asyncio.to_thread(pruning(dsn).wait, 60)
    nothing = dict.fromkeys(("jobs", "tasks", "documents", "link_lists", "priority_updates"), 0)
    assert {**nothing, "results": 5, "pruned_jobs": 1} == await counts(dsn, old.id)
    assert 5 == (await counts(dsn, last.id))["tasks"]
