"""A cache of jobs whose loads the test holds in its hand, with a clock that it moves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pacewheel import JobFacts, JobState
from pacewheel.metrics import Metrics
from pacewheel.services.job_cache import JobInfoCache


def facts_of(job_id: int, status: JobState = JobState.RUNNING, version: int = 0) -> JobFacts:
    """A job as the database would describe it."""
    return JobFacts(job_id, 1, "note", status, 8, None, {"version": version})


class Loads:
    """Notes every load, and answers each when the test says so."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.answers: list[asyncio.Future[Mapping[int, JobFacts]]] = []

    async def load(self, job_ids: Sequence[int]) -> Mapping[int, JobFacts]:
        """Wait for the test's answer."""
        self.asked.append(list(job_ids))
        answer = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        result: Mapping[int, JobFacts] = await answer
        return result

    def land(self, nth: int = 0, version: int = 0, **status: JobState) -> None:
        """Answer a load with all that it asked for."""
        found = {job_id: facts_of(job_id, version=version, **status) for job_id in self.asked[nth]}
        self.answers[nth].set_result(found)


class Bench:
    """A cache with its loads, a clock that the test moves, and metrics."""

    def __init__(self, metrics: Metrics | None = None, **options: Any) -> None:
        self.loads = Loads()
        self.metrics = metrics or Metrics()
        self.now_ms = 0.0
        self.cache = JobInfoCache(
            **{
                "load": self.loads.load,
                "metrics": self.metrics,
                "now_ms": lambda: self.now_ms,
                **options,
            }
        )

    def counted(self, name: str, **labels: str) -> float:
        """A metric of the cache now."""
        return self.metrics.value(f"pacewheel_job_cache_{name}", **labels)


async def turns(number: int = 5) -> None:
    """Let the loop go round so often."""
    for _ in range(number):
        await asyncio.sleep(0)


async def ask(bench: Bench, job_id: int, callers: int = 1) -> list[asyncio.Task[JobFacts | None]]:
    """Start so many callers, and return when they wait."""
    asking = [asyncio.create_task(bench.cache.get(job_id)) for _ in range(callers)]
    await turns()
    return asking
