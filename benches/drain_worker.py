"""A process that drains no-op tasks, and says what that took.

Started with one argument: a JSON object of dsn, config and until: "idle", a number of tasks, or
"asked" (SIGTERM). Prints one JSON object at its end: CPU seconds since the engine's start, the
milliseconds of each claim that brought tasks, and for which share of the time each hot statement
was under way.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from pacewheel import Config, Engine, Task
from pacewheel.cli.engines import run_async
from pacewheel.ports import ClaimRequest, DomainClaim


async def main(spec: dict[str, Any]) -> None:
    """Drain, then print."""
    engine = Engine(spec["dsn"], config=Config(**spec["config"]))

    until, ran = spec["until"], 0
    done = asyncio.Event()

    @engine.handler("noop")
    async def noop(_task: Task) -> None:
        nonlocal ran
        ran += 1
        if ran == until:
            done.set()

    @engine.handler("paced")
    async def paced(task: Task) -> None:
        await task.depart()

    await engine.connect()
    claims_ms: list[float] = []
    tasks = engine.store.tasks
    claim_tasks = tasks.claim_tasks

    async def timed(
        worker_id: int, handlers: Sequence[str], request: ClaimRequest
    ) -> list[DomainClaim]:
        began_s = time.perf_counter()
        claims = await claim_tasks(worker_id, handlers, request)
        if any(claim.tasks for claim in claims):
            claims_ms.append((time.perf_counter() - began_s) * 1000)
        return claims

    tasks.claim_tasks = timed  # type: ignore[method-assign]
    cpu_s, began_s = time.process_time(), time.perf_counter()
    if until == "idle":
        await engine.run_until_idle()
    elif until == "asked":
        await engine.run()
    else:
        async with engine:
            await done.wait()
    cpu_s, took_s = time.process_time() - cpu_s, time.perf_counter() - began_s
    under_way = {
        name: engine.metrics.value("pacewheel_transaction_seconds_sum", statement=name) / took_s
        for name in ("claim_tasks", "settle_tasks")
    }
    print(json.dumps({"cpu_s": cpu_s, "claims_ms": claims_ms, "under_way": under_way}))


if __name__ == "__main__":
    run_async(main(json.loads(sys.argv[1])))
