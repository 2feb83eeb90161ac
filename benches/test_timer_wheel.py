"""The timer wheel against its oracle and against one loop timer a task.

While 10,000 or a million others stay live, in nanoseconds a timer, for 10,000 timers that are
scattered over 50 ms:

- *expire*: schedule them, then hand over all once all are due, at most 4,096 at a time;
- *cancel*: schedule them, then cancel them.

The wheel and the oracle are called as the engine calls them, in batches of 1,000; a loop can only
be called once a timer. Each workload asserts that every timer came (or went) before its time
counts.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import uvloop

from oracles.timer_wheel import NaiveTimerWheel
from pacewheel._core import TimerWheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

BATCH = 1_000
LIMIT = 4_096
MEASURED = 10_000
ROUNDS = 5
SPAN_MS = 50
HORIZON_MS = 30_000
STANDING_MS = (60_000, 500_000)
SIZES = {"10k": 10_000, "1M": 1_000_000}
WHEELS: dict[str, Callable[[int, int], Any]] = {"wheel": TimerWheel, "oracle": NaiveTimerWheel}
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


class Costs(NamedTuple):
    """The shortest time of some rounds, in nanoseconds a timer."""

    expire: float
    cancel: float


def _scattered_ms(count: int, low_ms: int, high_ms: int) -> list[int]:
    """Return `count` delays between the two, in no order, the same each time."""
    source = random.Random(count)
    return [source.randint(low_ms, high_ms) for _ in range(count)]


def _fill(wheel: Any, count: int, low_ms: int, high_ms: int) -> None:
    """Schedule ids from 0 to `count`, in batches, under kind 1."""
    delays_ms = _scattered_ms(count, low_ms, high_ms)
    for start in range(0, count, BATCH):
        ids = list(range(start, start + BATCH))
        wheel.schedule_many(1, ids, delays_ms[start : start + BATCH])
    assert count == len(wheel) == wheel.count(1)


def _drain(wheel: Any, now_ms: int) -> list[int]:
    received: list[int] = []
    next_ms: int | None = now_ms
    while next_ms is not None and next_ms <= now_ms:
        _, ids, next_ms = wheel.advance(now_ms, LIMIT)
        received += ids
    return received


def _wheel_costs(name: str, standing: int) -> Costs:
    wheel = WHEELS[name](0, standing + MEASURED)
    _fill(wheel, standing, *STANDING_MS)
    delays_ms = _scattered_ms(MEASURED, 1, SPAN_MS)
    everything = list(range(MEASURED))
    expire_ns, cancel_ns = [], []
    for round_ in range(ROUNDS):
        now_ms = round_ * SPAN_MS
        batches = [
            (
                everything[start : start + BATCH],
                [now_ms + delay_ms for delay_ms in delays_ms[start : start + BATCH]],
            )
            for start in range(0, MEASURED, BATCH)
        ]
        started = time.perf_counter_ns()
        for ids, deadlines_ms in batches:
            wheel.schedule_many(0, ids, deadlines_ms)
        cancelled = sum(wheel.cancel_many(0, ids) for ids, _ in batches)
        cancel_ns.append(time.perf_counter_ns() - started)
        assert cancelled == MEASURED

        started = time.perf_counter_ns()
        for ids, deadlines_ms in batches:
            wheel.schedule_many(0, ids, deadlines_ms)
        received = _drain(wheel, now_ms + SPAN_MS)
        expire_ns.append(time.perf_counter_ns() - started)
        assert everything == sorted(received)
        assert standing == len(wheel)
    return Costs(min(expire_ns) / MEASURED, min(cancel_ns) / MEASURED)


def _loop_costs(name: str, standing: int) -> Costs:
    loop = LOOPS[name]()
    received: list[int] = []
    delays_s = [delay_ms / 1_000 for delay_ms in _scattered_ms(MEASURED, 1, SPAN_MS)]
    expire_ns, cancel_ns = [], []

    def schedule() -> list[asyncio.TimerHandle]:
        return [
            loop.call_later(delay_s, received.append, timer_id)
            for timer_id, delay_s in enumerate(delays_s)
        ]

    try:
        live = [
            loop.call_later(delay_ms / 1_000, received.append, -1)
            for delay_ms in _scattered_ms(standing, *STANDING_MS)
        ]
        for _ in range(ROUNDS):
            started = time.perf_counter_ns()
            schedule()
            elapsed_ns = time.perf_counter_ns() - started
            loop.call_later(SPAN_MS / 1_000 + 0.01, loop.stop)
            time.sleep(SPAN_MS / 1_000 + 0.02)  # untimed: the loop then only has to expire them
            started = time.perf_counter_ns()
            loop.run_forever()
            expire_ns.append(elapsed_ns + time.perf_counter_ns() - started)
            assert list(range(MEASURED)) == sorted(received)
            received.clear()
        for _ in range(ROUNDS):
            started = time.perf_counter_ns()
            handles = schedule()
            for handle in handles:
                handle.cancel()
            cancel_ns.append(time.perf_counter_ns() - started)
            assert all(handle.cancelled() for handle in handles)
        assert standing == len(live)
        return Costs(min(expire_ns) / MEASURED, min(cancel_ns) / MEASURED)
    finally:
        loop.close()


@functools.cache
def costs_of(name: str, size: str) -> Costs:
    """Measure once a session; all ratios use it."""
    return (_wheel_costs if name in WHEELS else _loop_costs)(name, SIZES[size])


@pytest.mark.usefixtures("gc_off")
@pytest.mark.parametrize("rival", ["oracle", "uvloop", "asyncio"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("workload", ["expire", "cancel"])
def test_the_wheel_against(
    budget: Callable[[str, float], None], workload: str, size: str, rival: str
) -> None:
    """The ratio of the rival's cost to the wheel's, in the same process."""
    ours_ns = getattr(costs_of("wheel", size), workload)
    theirs_ns = getattr(costs_of(rival, size), workload)
    print(f"\n{workload} {size}: wheel {ours_ns:.0f} ns, {rival} {theirs_ns:.0f} ns a timer")
    budget(f"wheel: {workload}, {size}, over {rival}", theirs_ns / ours_ns)


def test_a_million_timers_fit_their_memory(budget: Callable[[str, float], None]) -> None:
    """All that the wheel reserved, divided by its live timers."""
    count = SIZES["1M"]
    wheel = TimerWheel(0, count)
    _fill(wheel, count, *STANDING_MS)
    budget("wheel: memory a timer at 1M", wheel.memory_bytes() / count)


@pytest.mark.usefixtures("gc_off")
def test_the_tail_of_advance_with_a_million_live(budget: Callable[[str, float], None]) -> None:
    """Ten blocks of 1 ms steps; what expires is scheduled again, so a million stay live."""
    count = SIZES["1M"]
    wheel = TimerWheel(0, count)
    _fill(wheel, count, 1, HORIZON_MS)
    times_ns: list[int] = []
    for now_ms in range(1, 10 * 1_024 + 1):
        # Of this thread: what a busy machine does meanwhile is none of the wheel's.
        start = time.thread_time_ns()
        _, ids, next_ms = wheel.advance(now_ms, LIMIT)
        times_ns.append(time.thread_time_ns() - start)
        assert next_ms is not None
        assert next_ms > now_ms
        wheel.schedule_many(1, ids, [now_ms + HORIZON_MS] * len(ids))
    assert count == len(wheel)
    wheel.validate()
    times_ns.sort()
    budget("wheel: advance at 1M live, p50", times_ns[len(times_ns) // 2] / 1_000)
    budget("wheel: advance at 1M live, p99.9", times_ns[len(times_ns) * 999 // 1_000] / 1_000)
    budget("wheel: advance at 1M live, maximum", times_ns[-1] / 1_000)


def test_one_burst(benchmark: BenchmarkFixture, budget: Callable[[str, float], None]) -> None:
    """The longest thing one wake-up of the driver does: 4,096 timers of one millisecond."""
    ids = list(range(LIMIT))

    def setup() -> tuple[tuple[TimerWheel], dict[str, Any]]:
        wheel = TimerWheel(0, LIMIT)
        wheel.schedule_many(0, ids, [5] * LIMIT)
        return (wheel,), {}

    def run(wheel: TimerWheel) -> tuple[list[int], list[int], int | None]:
        return wheel.advance(5, LIMIT)

    assert ([0] * LIMIT, ids, None) == run(setup()[0][0])
    benchmark.pedantic(run, setup=setup, rounds=200)
    budget("wheel: one burst of 4,096", benchmark.stats.stats.median * 1e6)
