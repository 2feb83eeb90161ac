"""Processes under test, their shared log, and the questions that tests ask of it.

Owns every process it starts: all of them are dead and waited for when the test ends. The log is the
only witness of what ran when; the database is asked for what was settled.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pacewheel import Engine, NewTask
from pacewheel.engine import Job
from tests.conftest import FAST, fetch, until

WORKER = Path(__file__).with_name("worker_main.py")
EXIT_TIMEOUT_S = 15.0
MS = 1_000_000
LOG_TOLERANCE_MS = 2.0
LATE_LOG_TOLERANCE_MS = 10.0
LATE_LOG_SHARE = 0.01


@dataclass(slots=True)
class Run:
    """One attempt as its handler saw it; `end_ns` is None until it ends, if it does."""

    pid: int
    job: int
    domain: str
    task: str
    attempt: int
    start_ns: int
    end_ns: int | None = None
    was_cut: bool = False


class Fleet:
    """Any number of worker processes on one database."""

    def __init__(self, dsn: str, directory: Path) -> None:
        self.dsn = dsn
        self._log = directory / "runs.jsonl"
        self._directory = directory
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, **config: Any) -> subprocess.Popen[bytes]:
        """Start one more worker; `config` replaces settings of its FAST configuration."""
        spec = {
            "dsn": self.dsn,
            "log": str(self._log),
            "config": {**FAST, **config},
            "backoff_s": 0.05,
        }
        with (self._directory / f"worker-{len(self._all)}.err").open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, str(WORKER), json.dumps(spec)], stdout=errors, stderr=errors
            )
        self._all.append(process)
        return process

    def end(self) -> str:
        """Kill what still runs; return what the workers wrote to standard error."""
        for process in self._all:
            if process.poll() is None:
                process.kill()
            process.wait()
        return "".join(path.read_text() for path in self._directory.glob("*.err"))

    def runs(self) -> list[Run]:
        """All attempts so far, in the order of their starts."""
        if not self._log.exists():
            return []
        lines = self._log.read_bytes().rpartition(b"\n")[0].splitlines()
        open_runs: dict[tuple[int, int, str], Run] = {}
        runs = []
        for line in sorted(map(json.loads, lines), key=lambda line: line["ns"]):
            key = (line["pid"], line["job"], line["task"])
            if line["what"] == "start":
                names = ("pid", "job", "domain", "task", "attempt")
                run = Run(*(line[name] for name in names), start_ns=line["ns"])
                open_runs[key] = run
                runs.append(run)
            else:
                ended = open_runs.pop(key)
                ended.end_ns, ended.was_cut = line["ns"], line["what"] == "cut"
        return runs

    def pids(self) -> set[int]:
        """The processes that have started anything."""
        return {run.pid for run in self.runs()}

    async def until_runs(self, holds: Callable[[list[Run]], bool], timeout_s: float = 20.0) -> None:
        """Wait until the log satisfies a condition."""

        def condition() -> bool:
            return holds(self.runs())

        condition.__qualname__ = holds.__qualname__
        await until(condition, timeout_s=timeout_s)

    async def until_all_settled(self, timeout_s: float = 30.0) -> None:
        """Wait until no job is live."""

        async def all_jobs_are_final() -> bool:
            return (
                await count(self.dsn, "SELECT count(*) FROM pacewheel.jobs WHERE status < 3") == 0
            )

        await until(all_jobs_are_final, timeout_s=timeout_s)

    async def owners(self) -> dict[str, int]:
        """The process id of the owner of each domain, 0 for none or a dead one."""
        rows = await fetch(
            self.dsn,
            "SELECT d.name, coalesce(w.pid, 0) AS pid FROM pacewheel.domains d "
            "LEFT JOIN pacewheel.workers w ON w.id = d.owner AND w.dead_at IS NULL",
        )
        return {row["name"]: row["pid"] for row in rows}

    async def held_by(self, pid: int) -> set[str]:
        """The domains that a process owns."""
        return {name for name, owner in (await self.owners()).items() if owner == pid}


def wait_for_exit(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a process and return its exit code."""
    return process.wait(EXIT_TIMEOUT_S)


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> int:
    """Send a signal; return the moment before."""
    now_ns = time.monotonic_ns()
    process.send_signal(number)
    return now_ns


async def count(dsn: str, query: str, *args: object) -> int:
    """The one number that a query gives."""
    number: int = (await fetch(dsn, query, *args))[0][0]
    return number


async def create_jobs(
    dsn: str,
    domains: Iterable[str],
    tasks: int,
    *,
    gap_ms: int = 0,
    concurrency: int = 8,
    handler: str = "work",
    **payload: Any,
) -> list[Job]:
    """Create a job a domain, each with so many tasks of this payload, complete."""
    engine = Engine(dsn)
    await engine.connect()
    try:
        return [
            await engine.create_job(
                domain=domain,
                handler=handler,
                concurrency=concurrency,
                domain_delay_ms=gap_ms or None,
                tasks=[NewTask(f"{number}", payload=payload) for number in range(tasks)],
                discovery_open=False,
            )
            for domain in domains
        ]
    finally:
        await engine.close()


def by_domain(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """The attempts of each domain, in the order given."""
    found: defaultdict[str, list[Run]] = defaultdict(list)
    for run in runs:
        found[run.domain].append(run)
    return found


def most_at_once(runs: Sequence[Run]) -> int:
    """The most attempts that ran at one moment; what was never ended counts as running for ever."""
    changes = [(run.start_ns, 1) for run in runs]
    changes += [(run.end_ns, -1) for run in runs if run.end_ns is not None]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def pace_faults_ms(runs: Iterable[Run], gap_ms: float) -> list[float]:
    """Times between two starts of a domain that break its pace.

    The engine keeps the gap to the microsecond, the log is written a little later: on a busy
    machine now and then by milliseconds. So one time in a hundred may be up to 10 ms short, all
    others up to 2 ms.
    """
    times = [
        (b.start_ns - a.start_ns) / MS
        for of_one in by_domain(runs).values()
        for a, b in pairwise(of_one)
    ]
    short = [time_ms for time_ms in times if time_ms < gap_ms - LOG_TOLERANCE_MS]
    if len(short) > len(times) * LATE_LOG_SHARE:
        return short
    return [time_ms for time_ms in short if time_ms < gap_ms - LATE_LOG_TOLERANCE_MS]


def longest_pause_ms(runs: Sequence[Run], from_ns: int, to_ns: int) -> float:
    """The longest time without a start between two moments."""
    inside = [run.start_ns for run in runs if from_ns < run.start_ns < to_ns]
    return max(b - a for a, b in pairwise([from_ns, *inside, to_ns])) / MS


def foreign_overlaps(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Pairs of attempts of one domain that ran at the same time in different processes."""
    return [
        (a, b)
        for a in runs
        for b in runs
        if a.pid != b.pid
        and a.start_ns <= b.start_ns
        and (a.end_ns is None or b.start_ns < a.end_ns)
    ]
