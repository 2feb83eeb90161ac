"""The flight cache against its oracle, and the cache of jobs that is built on it.

Nanoseconds a call while 1,000 jobs are known. The oracle does the same in Python: a dict, two ages,
CLOCK's bit, counters. Each workload asserts its answers before its time counts.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from oracles.flight_cache import NaiveFlightCache
from pacewheel import JobFacts, JobState, Task
from pacewheel._core import FlightCache
from pacewheel.metrics import Metrics
from pacewheel.ports import DomainClaim
from pacewheel.registry import Handler, Registry
from pacewheel.services.dispatcher import Dispatcher
from pacewheel.services.job_cache import JobInfoCache

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = {
    "capacity": 16_384,
    "flights_max": 16_384,
    "ttl_ms": 30_000,
    "stale_ms": 30_000,
    "absent_ttl_ms": 1_000,
    "retry_ms": 1_000,
}
CACHES: dict[str, Callable[..., Any]] = {"cache": FlightCache, "oracle": NaiveFlightCache}
KEYS = range(1_000)
WORKERS = 50
CALLERS = 1_000
ROUNDS = 50


def facts_of(job_id: int) -> JobFacts:
    """A job as the database would describe it."""
    return JobFacts(job_id, 1, "note", JobState.RUNNING, 8, None, {})


def hits(cache: Any, now_ms: int) -> None:
    """Peek at every key."""
    peek = cache.peek
    for key in KEYS:
        peek(key, now_ms, None)


def loads(cache: Any, now_ms: int) -> None:
    """Miss every key, join its flight once, finish it, and forget it again."""
    for key in KEYS:
        _, _, flight = cache.lookup(key, now_ms)
        cache.lookup(key, now_ms)
        cache.finish(flight, key, now_ms, 7)
    cache.invalidate_all()


@functools.cache
def costs() -> dict[str, dict[str, float]]:
    """Measure once a session, by turns: the shortest times of some rounds, in nanoseconds a key.

    By turns, so that whatever else slows the machine down slows both down.
    """
    caches = {name: make(**LIMITS) for name, make in CACHES.items()}
    times_ns: dict[str, dict[str, list[int]]] = {name: {"loads": [], "hits": []} for name in caches}
    for workload, run in (("loads", loads), ("hits", hits)):
        if workload == "hits":
            for cache in caches.values():
                for key in KEYS:
                    cache.put(key, facts_of(key), 0, 0)
                assert [facts_of(key) for key in KEYS] == [cache.peek(key, 1, None) for key in KEYS]
        for _ in range(ROUNDS):
            for name, cache in caches.items():
                started = time.perf_counter_ns()
                run(cache, 1)
                times_ns[name][workload].append(time.perf_counter_ns() - started)
    led = ROUNDS * len(KEYS)
    for cache in caches.values():
        stats = cache.stats()
        assert (led, led, led, 0) == (
            stats["loads_ok"], stats["joins"], stats["hits"] - len(KEYS), stats["in_flight"]
        )  # fmt: skip
    return {
        name: {workload: min(times) / len(KEYS) for workload, times in workloads.items()}
        for name, workloads in times_ns.items()
    }


@pytest.mark.usefixtures("gc_off")
@pytest.mark.parametrize("workload", ["hits", "loads"])
def test_the_cache_against_its_oracle(budget: Callable[[str, float], None], workload: str) -> None:
    """The ratio of the oracle's cost to the cache's, in the same process."""
    ours_ns, theirs_ns = costs()["cache"][workload], costs()["oracle"][workload]
    print(f"\n{workload}: cache {ours_ns:.0f} ns, oracle {theirs_ns:.0f} ns a key")
    budget(f"flight cache: {workload}, over oracle", theirs_ns / ours_ns)


@pytest.mark.usefixtures("gc_off")
def test_a_hit(budget: Callable[[str, float], None]) -> None:
    """Of the table, and of the cache of jobs, which reads the clock too."""
    hit_ns = costs()["cache"]["hits"]
    budget("flight cache: one hit", hit_ns)
    known, times_ns = {key: facts_of(key) for key in KEYS}, []
    for _ in range(ROUNDS):
        get = known.get
        started = time.perf_counter_ns()
        for key in KEYS:
            get(key)
        times_ns.append(time.perf_counter_ns() - started)
    budget("flight cache: one hit over a bare dict's", hit_ns * len(KEYS) / min(times_ns))
    cache = JobInfoCache(load=_never, metrics=Metrics())
    cache._table.put(7, facts_of(7), int(cache._now_ms()), 0)
    assert facts_of(7) == cache.peek(7)
    times_ns = []
    for _ in range(ROUNDS):
        started = time.perf_counter_ns()
        for _ in KEYS:
            cache.peek(7)
        times_ns.append(time.perf_counter_ns() - started)
    budget("job cache: one hit", min(times_ns) / len(KEYS))


def load_at_once(callers: int) -> tuple[float, float]:
    """Return the loads of so many callers at once, and what one costs beyond its coroutine, in us."""
    asked: list[Sequence[int]] = []

    async def load(job_ids: Sequence[int]) -> Mapping[int, JobFacts]:
        asked.append(job_ids)
        await asyncio.sleep(0)
        return {job_id: facts_of(job_id) for job_id in job_ids}

    async def measure(cache: JobInfoCache) -> float:
        waiting = [cache.get(7) for _ in range(callers)]
        started = time.perf_counter_ns()
        answers = await asyncio.gather(*waiting)
        elapsed_ns = time.perf_counter_ns() - started
        assert [facts_of(7)] * callers == answers
        return elapsed_ns / callers

    per_caller_ns = [
        asyncio.run(measure(JobInfoCache(load=load, metrics=Metrics()))) for _ in range(ROUNDS)
    ]
    return len(asked) / ROUNDS, min(per_caller_ns) / 1_000


@pytest.mark.requirement
@pytest.mark.usefixtures("gc_off")
def test_callers_at_once_are_one_load(budget: Callable[[str, float], None]) -> None:
    """Fifty workers that miss were fifty queries once; a thousand show what one caller costs."""
    loads_of_workers, _ = load_at_once(WORKERS)
    loads_of_callers, per_caller_us = load_at_once(CALLERS)
    budget("job cache: queries of 50 workers saved", 100 * (1 - loads_of_workers / WORKERS))
    budget("job cache: loads for 1,000 callers", loads_of_callers)
    budget("job cache: one of 1,000 callers at once", per_caller_us)


@pytest.mark.usefixtures("gc_off")
def test_what_a_claim_pays_for_its_jobs(budget: Callable[[str, float], None]) -> None:
    """A thousand tasks of fifty jobs that are known, as in the drain: no future, no query."""
    registry = Registry()
    registry.add(Handler("note", _no_handler))
    cache = JobInfoCache(load=_never, metrics=Metrics())
    others: dict[str, Any] = dict.fromkeys(inspect.signature(Dispatcher).parameters)
    dispatcher = Dispatcher(**{**others, "jobs": cache, "registry": registry, "metrics": Metrics()})
    claims = [
        DomainClaim(
            domain_id=job_id,
            gap_ms=0,
            blocked_in_ms=None,
            slot_in_ms=0.0,
            limited=False,
            filled=False,
            wake_in_ms=None,
            waits_ms=[0] * 20,
            tags=None,
            strides=None,
            competing=None,
            paused=None,
            tasks=[(1, job_id, 0.0, 0, "x", None, 0)] * 20,
        )
        for job_id in range(50)
    ]
    for job_id in range(50):
        cache._table.put(job_id, facts_of(job_id), int(cache._now_ms()), 0)
    known: dict[int, Any] = {}
    times_ns = []
    for _ in range(ROUNDS):
        knowing = dispatcher._know_jobs(claims)
        started = time.perf_counter_ns()
        try:
            knowing.send(None)
        except StopIteration as ended:  # by its first step: it awaits nothing
            times_ns.append(time.perf_counter_ns() - started)
            known = ended.value
        assert set(range(50)) == known.keys()
    assert ROUNDS == len(times_ns)
    budget("job cache: the jobs of a claim of 1,000 tasks", min(times_ns) / 1_000)


async def _no_handler(_task: Task) -> None:
    raise AssertionError


async def _never(_job_ids: Sequence[int]) -> Mapping[int, JobFacts]:
    raise AssertionError
