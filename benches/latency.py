"""What the benches of latency share: the worker's process, its log, and the printing of times.

The engine runs in a process of its own, with its event loop idle or half busy, and notes when
handlers start by the wall clock, which the database shares.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import asyncpg

from benches.test_drain import empty
from pacewheel import Engine
from tests.conftest import until

WORKER = Path(__file__).with_name("latency_worker.py")
MS = 1_000_000

Started = tuple[int, str, str]


class Worker:
    """The engine's process and its log."""

    def __init__(
        self, dsn: str, directory: Path, *, half_busy: bool = False, **config: Any
    ) -> None:
        self._log = directory / "starts"
        spec = {"dsn": dsn, "log": str(self._log), "config": config, "half_busy": half_busy}
        self._process = subprocess.Popen([sys.executable, str(WORKER), json.dumps(spec)])
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert 0 == self._process.wait(30)

    def starts(self) -> list[Started]:
        """Wall clock in ns, domain and target of each handler's start so far."""
        if not self._log.exists():
            return []
        lines = self._log.read_text().rpartition("\n")[0].splitlines()
        return [(int(at), domain, name) for at, domain, name in map(str.split, lines)]

    async def until(self, number: int, timeout_s: float = 60.0) -> list[Started]:
        """Wait for so many starts, and return them."""
        await until(lambda: len(self.starts()) >= number, timeout_s=timeout_s)
        return self.starts()

    def cpu_s(self) -> float:
        """CPU time that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


def report(what: str, times_ms: Sequence[float]) -> tuple[float, float]:
    """Print and return median and 99th percentile."""
    ordered = sorted(times_ms)
    p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    print(f"\n{what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {ordered[-1]:.2f} ms", end="")
    return p50, p99


async def connected(dsn: str) -> Engine:
    """An engine that only enqueues, on emptied tables."""
    engine = Engine(dsn)
    await engine.connect()
    await empty(dsn)
    return engine


async def ready_ns(dsn: str) -> dict[tuple[str, str], int]:
    """When each waiting task is ready, by domain and target."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT d.name, t.target, (extract(epoch FROM t.ready_at) * 1e9)::bigint "
        "FROM pacewheel.tasks t JOIN pacewheel.domains d ON d.id = t.domain_id WHERE t.status = 1"
    )
    await connection.close()
    return {(row[0], row[1]): row[2] for row in rows}
