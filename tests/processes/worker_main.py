"""A process with one engine, whose handlers note every start and end in a shared log.

Started by `tests.processes.fleet` with one argument: a JSON object of dsn, log, config and
backoff_s. A line is one `write` to a file opened for appending, so lines of several processes don't
mix and what was written before a kill is kept. Times are `time.monotonic_ns()`, one clock for all
processes.

What a task does stands in its payload: `hold_ms` (how long it runs), `before_ms` (handler `slow`:
time until its request leaves), each a number or a list of one for each attempt; `die` (the attempt
kills the process); `raises` (handler `work`: priorities of other tasks, by key); `reads` (handler
`read`: statements it has under way at once, all the time).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

from pacewheel import Config, Engine, Outcome, Task
from pacewheel.cli.engines import run_async

ATTEMPTS = 3


class Notes:
    """The shared log."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, what: str, task: Task) -> None:
        """Append one line."""
        line = {
            "ns": time.monotonic_ns(),
            "what": what,
            "pid": os.getpid(),
            "job": task.job_id,
            "domain": task.domain,
            "task": task.target,
            "attempt": task.attempt,
        }
        os.write(self._file, json.dumps(line).encode() + b"\n")


def of_attempt(task: Task, name: str) -> float:
    """The number of this name in the task's payload, or the one that a list gives this attempt."""
    given = (task.payload or {}).get(name, 0)
    return given[min(task.attempt, len(given)) - 1] if isinstance(given, list) else given


async def main(spec: dict[str, Any]) -> None:
    """Run the engine until SIGTERM."""
    engine = Engine(spec["dsn"], config=Config(**spec["config"]))
    notes = Notes(spec["log"])

    async def hold(task: Task) -> None:
        notes.note("start", task)
        if (task.payload or {}).get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            await asyncio.sleep(of_attempt(task, "hold_ms") / 1000)
        except asyncio.CancelledError:
            notes.note("cut", task)
            raise
        notes.note("end", task)

    @engine.handler("work", attempts=ATTEMPTS, backoff_s=spec["backoff_s"])
    async def work(task: Task) -> Outcome:
        await hold(task)
        return Outcome.completed(raises=(task.payload or {}).get("raises", {}))

    @engine.handler("slow", attempts=ATTEMPTS, backoff_s=spec["backoff_s"], own_departure=True)
    async def slow(task: Task) -> None:
        await asyncio.sleep(of_attempt(task, "before_ms") / 1000)
        await task.depart()
        await hold(task)

    @engine.handler("read")
    async def read(task: Task) -> None:
        notes.note("start", task)
        end_s = time.monotonic() + of_attempt(task, "hold_ms") / 1000
        while time.monotonic() < end_s:
            reads = range((task.payload or {})["reads"])
            await asyncio.gather(*(task.document("none") for _ in reads))
        notes.note("end", task)

    await engine.run()


if __name__ == "__main__":
    run_async(main(json.loads(sys.argv[1])))
