"""The cache of jobs on a real event loop, with loads that the test holds in its hand."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pacewheel import JobFacts, JobState
from pacewheel.errors import JobFinal, LoadFailed, PacewheelError
from pacewheel.ports import InvalidationReason
from tests.job_loads import Bench, ask, facts_of, turns

CHANGED = InvalidationReason.CHANGED
# No jitter reaches so far from the edges.
FRESH_MS, STALE_MS, GONE_MS = 26_000, 34_000, 64_000


async def test_fifty_callers_at_once_are_one_load() -> None:
    """All get the one answer, and whoever asks later gets it without waiting."""
    bench = Bench()
    asking = await ask(bench, 7, callers=50)
    bench.loads.land()
    answers = await asyncio.gather(*asking)

    assert [[7]] == bench.loads.asked
    assert [facts_of(7)] * 50 == answers
    assert facts_of(7) == bench.cache.peek(7) == await bench.cache.get(7)
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

    assert facts_of(7) == bench.cache.peek(7)


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
    assert facts_of(7, version=2) == bench.cache.peek(7)
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
    assert bench.cache.peek(7) is None
    assert 1 == bench.counted("invalidations_total", reason="reconnected")


async def test_an_unknown_job_is_an_answer_with_a_short_life() -> None:
    """It is not asked for again within the second, and is after it; nothing is refused for it."""
    bench = Bench()
    asking = await ask(bench, 7, callers=2)
    bench.loads.answers[0].set_result({})
    assert [None, None] == await asyncio.gather(*asking)
    assert await bench.cache.get(7) is None
    bench.cache.refuse_final(7)
    bench.now_ms += 1_200
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
    assert bench.cache.peek(7) is None
    assert facts_of(7, version=1) == await bench.cache.get(7) == await bench.cache.get(7)
    assert facts_of(7, version=1) == bench.cache.peek(7)
    await turns()
    assert 2 == len(bench.loads.asked)
    bench.loads.answers[1].set_exception(OSError("cut"))
    await turns()
    assert facts_of(7, version=1) == bench.cache.peek(7)

    bench.now_ms += 1_000
    assert facts_of(7, version=1) == await bench.cache.get(7)
    await turns()
    bench.loads.land(2, version=2)
    await turns()
    assert facts_of(7, version=2) == bench.cache.peek(7)

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
    assert facts_of(2) == bench.cache.peek(2)


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
