"""Drains of any shape, by processes of their own: what each costs, and how fast it is.

Shared by the benches of scale and by the curves. The rate counts from the first batch's settling to
the last one's, by the server's clock, so that starting the processes costs nothing.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from benches.server import cpu_s, dead_rows
from benches.test_drain import CAPACITY, LIMIT, empty, target
from pacewheel import Engine, NewTask

WORKER = Path(__file__).with_name("drain_worker.py")
ENQUEUE_ROWS = 5_000
# Jobs created at once; their transactions wait for the disk, not for one another.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """What is drained, and by how many processes with which settings.

    `asleep` is the number of domains beside, each with a task and a block of an hour. With a
    `gap_ms` tasks depart so far apart.
    """

    tasks: int = 20_000
    domains: int = 50
    jobs: int = 50
    processes: int = 1
    asleep: int = 0
    gap_ms: int = 0
    config: dict[str, Any] = field(default_factory=dict)


class Drained(NamedTuple):
    """One drain: rate, claims' latency, and of each task its CPU (us), WAL (bytes), dead rows."""

    tasks_per_s: float
    claim_p50_ms: float
    claim_p99_ms: float
    claims: int
    server_us: float
    python_us: float
    wal_bytes: float
    dead_rows: float


async def fill(dsn: str, shape: Shape) -> None:
    """Create the jobs and their tasks, on emptied tables."""
    engine = Engine(dsn)
    await engine.connect()
    await empty(dsn)
    share = shape.tasks // shape.jobs

    async def create(domain: str, tasks: int) -> None:
        rows = [NewTask(target(n), priority=n * 7919 % 1000 / 1000) for n in range(tasks)]
        job = await engine.create_job(
            domain=domain,
            handler="paced" if shape.gap_ms else "noop",
            concurrency=LIMIT,
            domain_delay_ms=shape.gap_ms,
            tasks=rows[:ENQUEUE_ROWS],
        )
        for start in range(ENQUEUE_ROWS, tasks, ENQUEUE_ROWS):
            await job.enqueue(rows[start : start + ENQUEUE_ROWS])
        await job.finish_discovery()

    todo = [(f"site-{number % shape.domains}.example", share) for number in range(shape.jobs)]
    todo += [(f"asleep-{number}.example", 1) for number in range(shape.asleep)]
    for start in range(0, len(todo), AT_ONCE):
        await asyncio.gather(*(create(*each) for each in todo[start : start + AT_ONCE]))
    await engine.close()


async def _worker(dsn: str, shape: Shape) -> dict[str, Any]:
    until = shape.tasks // shape.jobs * shape.jobs if shape.asleep else "idle"
    spec = {"dsn": dsn, "config": {"capacity": CAPACITY, **shape.config}, "until": until}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WORKER), json.dumps(spec), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    answer: dict[str, Any] = json.loads(output)
    return answer


async def drain(dsn: str, shape: Shape) -> Drained:
    """Fill and drain once; raise AssertionError when a task was lost."""
    await fill(dsn, shape)
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "UPDATE pacewheel.domains SET blocked_until = now() + interval '1 hour' WHERE name LIKE 'asleep-%'"
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    backend_pid = await connection.fetchval("SELECT pg_backend_pid()")
    used_s = cpu_s(backend_pid)
    wal = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
    workers = await asyncio.gather(*(_worker(dsn, shape) for _ in range(shape.processes)))
    used_s = cpu_s(backend_pid) - used_s
    wal_bytes = await connection.fetchval(
        "SELECT (pg_current_wal_insert_lsn() - $1::pg_lsn)::float8", wal
    )
    dead = await dead_rows(connection)
    row = await connection.fetchrow(
        "SELECT count(*) AS tasks, count(*) FILTER (WHERE r.finished_at > f.first) AS timed,"
        " extract(epoch FROM max(r.finished_at) - min(f.first))::float8 AS took_s"
        " FROM pacewheel.results r, (SELECT min(finished_at) AS first FROM pacewheel.results) f"
    )
    await connection.close()
    total = shape.tasks // shape.jobs * shape.jobs
    assert total == row["tasks"]
    claims_ms = sorted(ms for worker in workers for ms in worker["claims_ms"])
    return Drained(
        row["timed"] / row["took_s"],
        statistics.median(claims_ms),
        claims_ms[int(len(claims_ms) * 0.99)],
        len(claims_ms),
        used_s / total * 1e6,
        sum(worker["cpu_s"] for worker in workers) / total * 1e6,
        wal_bytes / total,
        dead / total,
    )


def as_values(shape: Shape, drained: Drained) -> dict[str, Any]:
    """One flat row for a file."""
    values = asdict(shape)
    config = values.pop("config")
    return {**values, **config, **drained._asdict()}
