"""A process with one engine that notes when each handler starts, its event loop idle or half busy.

Started by `test_latency.py` with one argument: a JSON object of dsn, log, config and half_busy. A
line of the log is the wall clock in nanoseconds, the domain and the target: the wall clock, because
the database's is the same one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from pacewheel import Config, Engine, Task
from pacewheel.cli.engines import run_async

SPIN_S = 0.002


async def spin() -> None:
    """Keep the event loop busy for half of every few milliseconds, as parsing pages does."""
    while True:
        until_s = time.perf_counter() + SPIN_S
        while time.perf_counter() < until_s:
            pass
        await asyncio.sleep(SPIN_S)


async def main(spec: dict[str, Any]) -> None:
    """Run the engine until SIGTERM."""
    engine = Engine(spec["dsn"], config=Config(**spec["config"]))
    log = os.open(spec["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @engine.handler("note")
    async def note(task: Task) -> None:
        os.write(log, f"{time.time_ns()} {task.domain} {task.target}\n".encode())

    spinning = asyncio.create_task(spin()) if spec["half_busy"] else None
    await engine.run()
    if spinning is not None:
        spinning.cancel()


if __name__ == "__main__":
    run_async(main(json.loads(sys.argv[1])))
