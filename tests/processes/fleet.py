"""Processes under test, their shared log, and the questions that tests ask of it.

Owns every process it starts: all of them are dead and waited for when the test ends. The log is the
only witness of what ran when; the database is asked for what was settled.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pacewheel import Engine, NewTask
from pacewheel.engine import Job
from tests.conftest import FAST, fetch, until

WORKER = Path(__file__).with_name("worker_main.py")
EXIT_TIMEOUT_S = 60.0
SETTLED_TIMEOUT_S = 120.0
# A look at the database is a connection, which takes time from the processes under test.
LOOK_S = 0.1
# So many tasks each job has to do at the least, as long as it is fed.
FED_TASKS = 20
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

    async def until_runs(self, holds: Callable[[list[Run]], bool]) -> None:
        """Wait until the log satisfies a condition."""

        def condition() -> bool:
            return holds(self.runs())

        condition.__qualname__ = holds.__qualname__
        await until(condition)

    async def until_all_settled(self) -> None:
        """Wait until no job is live."""

        async def all_jobs_are_final() -> bool:
            live = await count(self.dsn, "SELECT count(*) FROM pacewheel.jobs WHERE status < 3")
            if live:
                await asyncio.sleep(LOOK_S)
            return live == 0

        await until(all_jobs_are_final, timeout_s=SETTLED_TIMEOUT_S)

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
    async with connected(dsn) as engine:
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


class Feed:
    """Open jobs, one a domain, that don't run out of tasks until they are closed."""

    def __init__(
        self, dsn: str, job_ids: Sequence[int], least: int, payload: dict[str, Any]
    ) -> None:
        self._dsn = dsn
        self._least = least
        self._payload = payload
        self.tasks = dict.fromkeys(job_ids, 0)
        """How many each job has got so far."""

    async def add(self, tasks: int, job_ids: Iterable[int] | None = None) -> None:
        """Give these jobs, or all of them, so many more."""
        async with connected(self._dsn) as engine:
            for job_id in list(self.tasks if job_ids is None else job_ids):
                numbers = range(self.tasks[job_id], self.tasks[job_id] + tasks)
                self.tasks[job_id] += tasks
                job = await engine.get_job(job_id)
                await job.enqueue([NewTask(f"{n}", payload=self._payload) for n in numbers])

    async def until(self, holds: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
        """Wait for a condition, and let nobody run out of work meanwhile."""

        async def condition() -> bool:
            query = "SELECT id FROM pacewheel.jobs WHERE pending < $1 AND id = ANY ($2::bigint[])"
            if low := await fetch(self._dsn, query, self._least, list(self.tasks)):
                await self.add(self._least, [row["id"] for row in low])
            held = holds()
            if held if isinstance(held, bool) else await held:
                return True
            await asyncio.sleep(LOOK_S)
            return False

        condition.__qualname__ = holds.__qualname__
        await until(condition)

    def every_task(self) -> dict[tuple[int, str], int]:
        """Each task once: job and target."""
        return {(job, f"{n}"): 1 for job, tasks in self.tasks.items() for n in range(tasks)}

    async def close(self) -> None:
        """Say that no more tasks will come."""
        async with connected(self._dsn) as engine:
            for job_id in self.tasks:
                await (await engine.get_job(job_id)).finish_discovery()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Engine]:
    """An engine that enqueues and runs nothing."""
    engine = Engine(dsn)
    await engine.connect()
    try:
        yield engine
    finally:
        await engine.close()


async def feed(
    dsn: str,
    domains: Iterable[str],
    *,
    least: int = FED_TASKS,
    gap_ms: int = 0,
    concurrency: int = 8,
    **payload: Any,
) -> Feed:
    """Create an open job a domain, whose tasks have this payload, with some tasks to begin with."""
    async with connected(dsn) as engine:
        jobs = [
            await engine.create_job(
                domain=domain,
                handler="work",
                concurrency=concurrency,
                domain_delay_ms=gap_ms or None,
            )
            for domain in domains
        ]
    made = Feed(dsn, [job.id for job in jobs], least, payload)
    await made.add(2 * least)
    return made


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
