"""Minutes of steady load, a transaction held open in their middle: what wears out shows.

    make soak                   # five minutes
    SOAK_S=3600 make soak       # an hour

One process drains no-op tasks of fifty domains while new jobs keep its backlog between one and two
batches. A transaction of another session holds its snapshot from a fifth to three fifths of the
time, as a forgotten session or a backup does: nothing that dies meanwhile can be removed. Prints
rate, dead rows and the memory of process and server by tenths, and what the transaction cost.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
import uvloop

from benches.drains import WORKER
from benches.server import dead_rows, memory_bytes
from benches.test_drain import CAPACITY, LIMIT, target
from pacewheel import Engine, NewTask, embedded

SOAK_S = float(os.environ.get("SOAK_S", "300"))
DOMAINS = 50
JOB_TASKS = 400
BACKLOG_MIN = 20_000
LOOK_S = 0.2
TENTHS = 10
HELD = range(2, 6)
MB = 2**20


class Tenth(NamedTuple):
    """One tenth of the time: its rate, and what there was at its end."""

    tasks_per_s: float
    dead_rows: int
    process_mb: float
    server_mb: float


@asynccontextmanager
async def worker(dsn: str) -> AsyncIterator[int]:
    """Run a draining process; yield its pid."""
    spec = {"dsn": dsn, "config": {"capacity": CAPACITY}, "until": "asked"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WORKER), json.dumps(spec), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def produce(engine: Engine, connection: asyncpg.Connection) -> None:
    """Keep a backlog, by new jobs that end."""
    tasks = [NewTask(target(n), priority=n * 7919 % 1000 / 1000) for n in range(JOB_TASKS)]
    number = 0
    while True:
        live = await connection.fetchval(
            "SELECT coalesce(sum(pending), 0) FROM pacewheel.jobs WHERE status < 2"
        )
        for _ in range(DOMAINS if live < BACKLOG_MIN else 0):
            await engine.create_job(
                domain=f"site-{number % DOMAINS}.example",
                handler="noop",
                concurrency=LIMIT,
                tasks=tasks,
                discovery_open=False,
            )
            number += 1
        await asyncio.sleep(LOOK_S)


async def completed(connection: asyncpg.Connection) -> int:
    """Tasks completed so far."""
    number: int = await connection.fetchval("SELECT sum(completed)::bigint FROM pacewheel.jobs")
    return number


async def soak(dsn: str) -> list[Tenth]:
    """Run it; return the tenths."""
    engine = Engine(dsn)
    await engine.connect()
    connection, holder, producer = [await asyncpg.connect(dsn) for _ in range(3)]
    backend_pid = await connection.fetchval("SELECT pg_backend_pid()")
    producing = asyncio.create_task(produce(engine, producer))
    tenths = []
    print(f"{'':>6} {'tasks/s':>9} {'dead rows':>10} {'process MB':>11} {'server MB':>10}")
    async with worker(dsn) as pid:
        await asyncio.sleep(5)
        for number in range(TENTHS):
            if number == HELD.start:
                await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                await holder.execute("SELECT count(*) FROM pacewheel.jobs")
            if number == HELD.stop:
                await holder.execute("ROLLBACK")
            before, began_s = await completed(connection), time.perf_counter()
            await asyncio.sleep(SOAK_S / TENTHS)
            rate = (await completed(connection) - before) / (time.perf_counter() - began_s)
            assert not producing.done()
            each = Tenth(
                rate,
                await dead_rows(connection),
                memory_bytes([pid]) / MB,
                memory_bytes(backend_pid=backend_pid) / MB,
            )
            tenths.append(each)
            print(
                f"{number + 1:>5}{'*' if number in HELD else ' '} {each.tasks_per_s:>9,.0f}"
                f" {each.dead_rows:>10,} {each.process_mb:>11.0f} {each.server_mb:>10.0f}",
                flush=True,
            )
    producing.cancel()
    await asyncio.gather(producing, return_exceptions=True)
    for each in (connection, holder, producer):
        await each.close()
    await engine.close()
    return tenths


def main() -> None:
    """Soak on a server of its own, and say what came of it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        config = embedded.EmbeddedConfig(data_dir=Path(directory) / "data")
        with embedded.acquire(config) as use:
            tenths = uvloop.run(soak(use.dsn))
    free = statistics.median(each.tasks_per_s for each in tenths[: HELD.start])
    held = statistics.median(tenths[number].tasks_per_s for number in HELD)
    after = statistics.median(each.tasks_per_s for each in tenths[HELD.stop :])
    print("* a transaction was held open")
    print(f"rate while it was: {held / free:.2f} of that before, after it {after / free:.2f}")
    growth = tenths[-1].process_mb / tenths[0].process_mb
    print(f"memory of the process at the end: {growth:.2f} of that of the first tenth")


if __name__ == "__main__":
    main()
