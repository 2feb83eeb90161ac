"""The cache of jobs on a real event loop, with loads that the test holds in its hand."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from pacewheel import JobFacts, JobState
from pacewheel.errors import JobFinal, JobUnknown, LoadFailed, PacewheelError
from pacewheel.metrics import Metrics
from pacewheel.ports import InvalidationReason
from pacewheel.services.job_cache import JobInfoCache

CHANGED = InvalidationReason.CHANGED
SCHEDULES = 100_000 if os.environ.get("HYPOTHESIS_PROFILE") == "slow" else 2_000
# No jitter reaches so far from the edges.
FRESH_MS, STALE_MS, GONE_MS = 26_000, 34_000, 64_000


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


async def test_fifty_callers_at_once_are_one_load() -> None:
    """All get the one answer, and whoever asks later gets it without waiting."""
    bench = Bench()
    asking = await ask(bench, 7, callers=50)
    bench.loads.land()
    answers = await asyncio.gather(*asking)

    assert [[7]] == bench.loads.asked
    assert [facts_of(7)] * 50 == answers
    assert facts_of(7) == bench.cache.peek(7, None) == await bench.cache.get(7)
    assert (1, 49, 2) == (
        bench.counted("misses_total", reason="absent"),
        bench.counted("joins_total"),
        bench.counted("hits_total"),
    )
    assert (1, 1, 1) == (
        bench.counted("loads_total", result="ok"),
        bench.counted("load_seconds_count"),
        bench.counted("entries"),
    )


async def test_several_missing_jobs_are_one_load() -> None:
    """Those that are known, or being loaded, are not asked for again."""
    bench = Bench()
    asking = await ask(bench, 1)
    bench.loads.land()
    await asyncio.gather(*asking)
    waiting = await ask(bench, 2)
    many = asyncio.create_task(bench.cache.get_many([1, 2, 3, 4, 3]))
    await turns()
    bench.loads.land(1)
    bench.loads.answers[2].set_result({3: facts_of(3)})

    assert {1: facts_of(1), 2: facts_of(2), 3: facts_of(3)} == await many
    assert [[1], [2], [3, 4]] == bench.loads.asked
    assert [facts_of(2)] == await asyncio.gather(*waiting)


async def test_a_cancelled_leader_harms_nobody() -> None:
    """The load goes on, and its joiners get the answer."""
    bench = Bench()
    leader, *joiners = await ask(bench, 7, callers=3)
    leader.cancel()
    await turns()
    bench.loads.land()

    assert [facts_of(7)] * 2 == await asyncio.gather(*joiners)
    assert leader.cancelled()
    assert [[7]] == bench.loads.asked


async def test_a_cancelled_joiner_harms_nobody() -> None:
    """Nor does one whose own timeout is shorter than the load."""
    bench = Bench()
    leader, joiner = await ask(bench, 7, callers=2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bench.cache.get(7), 0.01)
    joiner.cancel()
    await turns()
    bench.loads.land()

    assert facts_of(7) == await leader


async def test_a_load_that_nobody_waits_for_any_more_warms_the_cache() -> None:
    """It is not cancelled with the last of its waiters."""
    bench = Bench()
    asking = await ask(bench, 7, callers=2)
    for task in asking:
        task.cancel()
    await turns()
    bench.loads.land()
    await turns()

    assert facts_of(7) == bench.cache.peek(7, None)


async def test_an_error_is_a_fresh_exception_for_each_and_is_not_kept() -> None:
    """Each has the cause attached; the next caller loads again."""
    bench = Bench()
    asking = await ask(bench, 7, callers=3)
    cause = OSError("the wire is cut")
    bench.loads.answers[0].set_exception(cause)
    failures = await asyncio.gather(*asking, return_exceptions=True)

    assert 3 == len({id(failure) for failure in failures})
    assert all(isinstance(failure, LoadFailed) for failure in failures)
    assert issubclass(LoadFailed, PacewheelError)
    assert [cause] * 3 == [
        failure.__cause__ for failure in failures if isinstance(failure, LoadFailed)
    ]
    assert "job 7 could not be loaded (OSError: the wire is cut)" in str(failures[0])
    again = await ask(bench, 7)
    bench.loads.land(1)
    assert [facts_of(7)] == await asyncio.gather(*again)
    assert 1 == bench.counted("loads_total", result="error")


async def test_a_failure_that_nobody_hears_is_not_reported_as_lost() -> None:
    """Who waited for two jobs hears of the first alone; the loop must not complain of the second."""
    bench = Bench()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, said: complaints.append(said))
    asking = asyncio.create_task(bench.cache.get_many([7, 8]))
    await turns()
    bench.loads.answers[0].set_exception(OSError("cut"))
    with pytest.raises(LoadFailed, match="job 7"):
        await asking
    del asking
    await turns()
    gc.collect()

    assert [] == complaints


async def test_a_load_has_a_timeout() -> None:
    """Its callers fail with LoadFailed, and nothing stays in flight."""
    bench = Bench(load_timeout_s=0.01)
    with pytest.raises(LoadFailed, match="TimeoutError") as failed:
        await bench.cache.get(7)

    assert isinstance(failed.value.__cause__, TimeoutError)
    assert (1, 0) == (bench.counted("loads_total", result="timeout"), bench.counted("in_flight"))


async def test_an_invalidation_during_a_load_wins() -> None:
    """Who asked before gets the old answer, it is not stored, and whoever asks later loads anew."""
    bench = Bench()
    before = await ask(bench, 7)
    bench.cache.invalidate(7, CHANGED)
    after = await ask(bench, 7)
    bench.loads.land(1, version=2)
    assert [facts_of(7, version=2)] == await asyncio.gather(*after)
    bench.loads.land(0, version=1)

    assert [facts_of(7, version=1)] == await asyncio.gather(*before)
    assert facts_of(7, version=2) == bench.cache.peek(7, None)
    assert (1, 1) == (
        bench.counted("loads_total", result="superseded"),
        bench.counted("invalidations_total", reason="changed"),
    )


async def test_forgetting_everything_reaches_loads_under_way_too() -> None:
    """A reconnected listener knows nothing of what happened meanwhile."""
    bench = Bench()
    asking = await ask(bench, 7)
    bench.cache.invalidate_all(InvalidationReason.RECONNECTED)
    bench.loads.land()

    assert [facts_of(7)] == await asyncio.gather(*asking)
    assert bench.cache.peek(7, None) is None
    assert 1 == bench.counted("invalidations_total", reason="reconnected")


async def test_an_unknown_job_is_an_answer_with_a_short_life() -> None:
    """It is not asked for again within the second, and is after it."""
    bench = Bench()
    asking = await ask(bench, 7, callers=2)
    bench.loads.answers[0].set_result({})
    assert [None, None] == await asyncio.gather(*asking)
    assert await bench.cache.get(7) is None
    with pytest.raises(JobUnknown, match="there is no job 7"):
        bench.cache.refuse_final(7)
    bench.now_ms += 1_200
    bench.cache.refuse_final(7)
    later = await ask(bench, 7)
    bench.loads.land(1)

    assert [facts_of(7)] == await asyncio.gather(*later)
    assert 1 == bench.counted("loads_total", result="absent")


async def test_a_stale_value_is_served_while_one_load_renews_it() -> None:
    """A failed renewal keeps it, and is tried again after a pause; beyond the hard limit it is gone."""
    bench = Bench()
    asking = await ask(bench, 7)
    bench.loads.land(version=1)
    await asyncio.gather(*asking)
    bench.now_ms = FRESH_MS
    assert facts_of(7, version=1) == await bench.cache.get(7)
    assert 1 == len(bench.loads.asked)

    bench.now_ms = STALE_MS
    assert bench.cache.peek(7, None) is None
    assert facts_of(7, version=1) == await bench.cache.get(7) == await bench.cache.get(7)
    assert facts_of(7, version=1) == bench.cache.peek(7, None)
    await turns()
    assert 2 == len(bench.loads.asked)
    bench.loads.answers[1].set_exception(OSError("cut"))
    await turns()
    assert facts_of(7, version=1) == bench.cache.peek(7, None)

    bench.now_ms += 1_000
    assert facts_of(7, version=1) == await bench.cache.get(7)
    await turns()
    bench.loads.land(2, version=2)
    await turns()
    assert facts_of(7, version=2) == bench.cache.peek(7, None)

    bench.now_ms += GONE_MS
    late = await ask(bench, 7)
    bench.loads.land(3, version=3)
    assert [facts_of(7, version=3)] == await asyncio.gather(*late)
    assert 1 == bench.counted("misses_total", reason="expired")


async def test_a_load_that_asks_for_its_own_job_is_refused() -> None:
    """It would wait for itself for ever; so would the load of another job that it started."""

    async def load(job_ids: Sequence[int]) -> Mapping[int, JobFacts]:
        if job_ids == [7]:
            await asyncio.create_task(bench.cache.get(8))
        await bench.cache.get(7)
        return {}

    bench = Bench(load=load)
    with pytest.raises(LoadFailed, match="asks for the job itself") as failed:
        await asyncio.wait_for(bench.cache.get(7), 1)
    assert isinstance(failed.value.__cause__, LoadFailed)
    assert 0 == bench.counted("in_flight")


async def test_too_many_loads_are_refused_and_those_already_led_are_flown() -> None:
    """The refusal names the job; nothing hangs."""
    bench = Bench(jobs_max=2)
    with pytest.raises(LoadFailed, match="job 3 was not loaded"):
        await bench.cache.get_many([1, 2, 3])
    await turns()
    bench.loads.land()
    await turns()

    assert [[1, 2]] == bench.loads.asked
    assert facts_of(2) == bench.cache.peek(2, None)


def test_a_cache_belongs_to_one_event_loop() -> None:
    """Another is refused until the cache was closed."""
    bench = Bench()

    async def load_one() -> None:
        asking = await ask(bench, 7)
        bench.loads.land(-1)
        await asyncio.gather(*asking)

    asyncio.run(load_one())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(bench.cache.get(7))
    asyncio.run(bench.cache.close())
    asyncio.run(load_one())


async def test_closing_ends_every_load_and_wakes_its_waiters() -> None:
    """Also one that had not begun when it was cancelled."""
    bench = Bench()
    waiting = await ask(bench, 7)
    not_begun = asyncio.create_task(bench.cache.get(8))
    await asyncio.sleep(0)
    await bench.cache.close()
    failures = await asyncio.gather(*waiting, not_begun, return_exceptions=True)

    assert [LoadFailed, LoadFailed] == [type(failure) for failure in failures]
    assert [[7]] == bench.loads.asked
    assert 0 == bench.counted("in_flight")


def test_an_exit_from_within_a_load_passes_through() -> None:
    """SystemExit ends the loop, as everywhere, and does not become a LoadFailed that hides it."""

    async def load(_job_ids: Sequence[int]) -> Mapping[int, JobFacts]:
        raise SystemExit(3)

    bench = Bench(load=load)
    with pytest.raises(SystemExit):
        asyncio.run(bench.cache.get(7))
    assert 0 == bench.counted("in_flight")


async def test_a_final_job_is_refused_without_a_load() -> None:
    """What is not known is not refused: the statement decides."""
    bench = Bench()
    bench.cache.refuse_final(7)
    asking = await ask(bench, 7)
    bench.loads.land(status=JobState.CANCELLED)
    await asyncio.gather(*asking)
    with pytest.raises(JobFinal, match="job 7 is cancelled and takes no more changes"):
        bench.cache.refuse_final(7)
    assert 1 == len(bench.loads.asked)


# Made once: a registry takes longer than a schedule.
METRICS = Metrics()


class Schedule:
    """Callers, cancellations, loads of all ends and changes, in an order that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.bench = Bench(METRICS, jobs_max=2, load=self._load)
        self.versions = dict.fromkeys(range(3), 0)
        self.callers: list[tuple[int, int, asyncio.Task[JobFacts | None]]] = []
        self.read: list[dict[int, int]] = []

    async def _load(self, job_ids: Sequence[int]) -> Mapping[int, JobFacts]:
        self.read.append({job_id: self.versions[job_id] for job_id in job_ids})
        return await self.bench.loads.load(job_ids)

    async def run(self) -> None:
        """Take twenty steps, land what is in the air, and look at every caller."""
        steps: list[Callable[[], Awaitable[None]]] = [
            self.call, self.call, self.call, self.cancel, self.land, self.land, self.change, self.turn
        ]  # fmt: skip
        for _ in range(20):
            await self.dice.choice(steps)()
        await turns()
        while any(not answer.done() for answer in self.bench.loads.answers):
            await self.land()
            await turns()
        for job_id, floor, caller in self.callers:
            assert caller.done(), f"job {job_id}: a lost wake-up"
            if not caller.cancelled() and caller.exception() is None:
                facts = caller.result()
                assert facts is None or facts.options["version"] >= floor
        assert 0 == self.bench.cache._table.stats()["in_flight"]
        assert {} == self.bench.cache._waiters

    async def call(self) -> None:
        """Somebody asks."""
        job_id = self.dice.randrange(3)
        asking = asyncio.create_task(self.bench.cache.get(job_id))
        self.callers.append((job_id, self.versions[job_id], asking))
        # Runs to its first wait now, so that what it may see is what is so now.
        await asyncio.sleep(0)

    async def cancel(self) -> None:
        """Somebody gives up."""
        if self.callers:
            self.dice.choice(self.callers)[2].cancel()

    async def land(self) -> None:
        """A load ends, one way or another."""
        loads = self.bench.loads
        open_ = [nth for nth, answer in enumerate(loads.answers) if not answer.done()]
        if not open_:
            return
        nth = self.dice.choice(open_)
        match self.dice.randrange(5):
            case 0:
                loads.answers[nth].set_exception(OSError("cut"))
            case 1:
                loads.answers[nth].cancel()
            case 2:
                loads.answers[nth].set_result({})
            case _:
                found = {
                    job_id: facts_of(job_id, version=version)
                    for job_id, version in self.read[nth].items()
                }
                loads.answers[nth].set_result(found)

    async def change(self) -> None:
        """A job changes, or all of them might have."""
        if self.dice.randrange(4) == 0:
            self.versions = {job_id: version + 1 for job_id, version in self.versions.items()}
            self.bench.cache.invalidate_all(InvalidationReason.RECONNECTED)
        else:
            job_id = self.dice.randrange(3)
            self.versions[job_id] += 1
            self.bench.cache.invalidate(job_id, CHANGED)

    async def turn(self) -> None:
        """Time passes, and the loop goes round."""
        self.bench.now_ms += self.dice.choice([1, 1_200, 35_000, 70_000])
        await turns(self.dice.randrange(3))


def test_no_schedule_loses_a_wake_up_or_serves_what_is_older_than_a_change() -> None:
    """Thousands of orders of events; HYPOTHESIS_PROFILE=slow tries a hundred thousand."""

    async def run_all() -> None:
        for seed in range(SCHEDULES):
            await Schedule(seed).run()

    asyncio.run(run_all())
