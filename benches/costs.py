"""Where the time of a task in a drain goes: Python by what it does, the server by statement.

    make profile

Drains no-op tasks with a process whose stack is sampled each millisecond of its CPU. What a C
extension does counts for the line that called it, so the loop's own share is what the sockets and
the decoding of answers take. Beside it stands what the server says of each statement
(pg_stat_statements), and what the kernel says of all its processes: the rest is commits, WAL,
parsing of messages, and vacuum.
"""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from benches import drain_worker
from benches.drains import Shape, fill
from benches.server import counting, cpu_s
from benches.test_drain import CAPACITY, server_us
from pacewheel import embedded
from pacewheel.cli.engines import run_async

ROUNDS = 3
SHAPE = Shape(tasks=100_000)
SAMPLE_S = 0.001
# What a line of this file, or the innermost of these that called it, works at.
PARTS = {
    "asyncpg": "driver: arguments encoded and sent",
    "pacewheel/store": "statements: arrays made, rows taken apart",
    "pacewheel/services/dispatcher": "claims taken in",
    "pacewheel/services/settler": "settlements gathered and confirmed",
    "pacewheel/services/worker_pool": "workers: queue, deadline, outcome",
    "pacewheel/runtime": "settlements made",
    "pacewheel/outcomes": "settlements made",
    "pacewheel/lessons": "settlements made",
    "pacewheel/held": "domains: gate, limits, cursors",
    "pacewheel/pace_used": "domains: gate, limits, cursors",
    "pacewheel/model": "domains: gate, limits, cursors",
    "pacewheel/metrics": "metrics",
    "prometheus_client": "metrics",
    "pacewheel/tracing": "tracing and log context, off",
    "benches/drain_worker": "handlers",
    "asyncio": "event loop: sockets, decoding, callbacks",
    "uvloop": "event loop: sockets, decoding, callbacks",
}
OTHER = "other"


def part_of(frame: FrameType | None) -> str:
    """Return what the innermost known file of a stack works at."""
    while frame is not None:
        file = frame.f_code.co_filename
        for piece, part in PARTS.items():
            if f"/{piece}" in file:
                return part
        frame = frame.f_back
    return OTHER


def sampled(spec: dict[str, Any]) -> None:
    """Be a draining process; print its answer, and the number of samples of each part."""
    samples: Counter[str] = Counter()

    def sample(_signal: int, frame: FrameType | None) -> None:
        samples[part_of(frame)] += 1

    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
    run_async(drain_worker.main(spec))
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(samples))


async def one(dsn: str, shape: Shape) -> Counter[str]:
    """Drain once; return the microseconds of a task by what they went to, and shares of the time."""
    await fill(dsn, shape)
    connection = await counting(dsn)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.execute("SELECT pg_stat_statements_reset()")
    backend_pid = await connection.fetchval("SELECT pg_backend_pid()")
    server_s = cpu_s(backend_pid)
    spec = {"dsn": dsn, "config": {"capacity": CAPACITY}, "until": "idle"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benches.costs", json.dumps(spec), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    server_s = cpu_s(backend_pid) - server_s
    answer, samples = map(json.loads, output.splitlines())
    found = Counter(
        {
            f"Python: {part}": answer["cpu_s"] * number / sum(samples.values()) / shape.tasks * 1e6
            for part, number in samples.items()
        }
    )
    statements = await server_us(connection, shape.tasks)
    for name in ("claim_tasks", "settle_tasks"):
        found[f"server: {name}"] = statements[name]
    found["server: commits, WAL, messages, vacuum"] = server_s / shape.tasks * 1e6 - sum(
        statements.values()
    )
    await connection.close()
    for name, share in answer["under_way"].items():
        found[f"share of the time under way: {name}"] = share
    return found


async def measure(dsn: str) -> None:
    """Print the medians of some drains, after one that isn't counted."""
    await one(dsn, replace(SHAPE, tasks=SHAPE.tasks // 4))
    rounds = [await one(dsn, SHAPE) for _ in range(ROUNDS)]
    medians = {
        part: statistics.median(each[part] for each in rounds) for part in set().union(*rounds)
    }
    for side in ("server", "Python"):
        mine = {part: us for part, us in medians.items() if part.startswith(side)}
        print(f"{side:<52} {sum(mine.values()):6.1f} us a task")
        for part, us in sorted(mine.items(), key=lambda item: -item[1]):
            print(f"  {part.removeprefix(f'{side}: '):<50} {us:6.1f}")
    for name, share in medians.items():
        if name.startswith("share"):
            print(f"{name:<52} {share:6.0%}")


def main() -> None:
    """Profile on a server with the settings that users get."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        data_dir = Path(directory) / "data"
        with embedded.acquire(embedded.EmbeddedConfig(data_dir=data_dir)) as use:
            uvloop.run(measure(use.dsn))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sampled(json.loads(sys.argv[1]))
    else:
        main()
