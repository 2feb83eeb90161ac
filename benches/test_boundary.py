"""What a crossing costs: the physics that the batches of `pacewheel._core` rest on.

Each bench asserts the answer first. The figures are per call; divide those of n ids by n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pacewheel._core import TimerWheel

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

ONE_CALL = {"iterations": 1_000, "rounds": 200, "warmup_rounds": 5}


@pytest.mark.benchmark(group="crossing")
def test_a_call_without_arguments(benchmark: BenchmarkFixture) -> None:
    """A method that locks, reads one number and returns None."""
    wheel = TimerWheel(0, 10)
    assert wheel.next_deadline() is None
    benchmark.pedantic(wheel.next_deadline, **ONE_CALL)


@pytest.mark.benchmark(group="crossing")
def test_one_int_in_and_one_out(benchmark: BenchmarkFixture) -> None:
    """The least that carries a value each way."""
    wheel = TimerWheel(0, 10)
    assert wheel.count(1) == 0
    benchmark.pedantic(wheel.count, args=(1,), **ONE_CALL)


@pytest.mark.benchmark(group="crossing")
def test_a_tuple_of_two_empty_lists_out(benchmark: BenchmarkFixture) -> None:
    """The least that advance can return."""
    wheel = TimerWheel(0, 10)
    assert wheel.advance(0, 10) == ([], [], None)
    benchmark.pedantic(wheel.advance, args=(0, 10), **ONE_CALL)


@pytest.mark.benchmark(group="crossing")
def test_three_ints_in_and_a_timer_moved(benchmark: BenchmarkFixture) -> None:
    """One schedule of a live timer: lookup, unlink, link."""
    wheel = TimerWheel(0, 10)
    assert wheel.schedule(0, 7, 5_000) == 5_000
    benchmark.pedantic(wheel.schedule, args=(0, 7, 5_000), **ONE_CALL)


@pytest.mark.benchmark(group="lists in")
@pytest.mark.parametrize("count", [10, 100, 1_000, 10_000])
def test_two_lists_of_ints_in(benchmark: BenchmarkFixture, count: int) -> None:
    """schedule_many of live timers."""
    wheel = TimerWheel(0, count)
    ids, deadlines_ms = list(range(count)), [5_000] * count
    assert wheel.schedule_many(0, ids, deadlines_ms) == 5_000
    assert count == len(wheel)
    benchmark.pedantic(wheel.schedule_many, args=(0, ids, deadlines_ms), iterations=10, rounds=50)


@pytest.mark.benchmark(group="lists out")
@pytest.mark.parametrize("count", [10, 100, 1_000, 10_000])
def test_two_lists_of_ints_out(benchmark: BenchmarkFixture, count: int) -> None:
    """Advance of timers that are due; ids above CPython's small ints, so that each is made."""
    ids = list(range(1_000_000, 1_000_000 + count))

    def setup() -> tuple[tuple[TimerWheel], dict[str, object]]:
        wheel = TimerWheel(0, count)
        wheel.schedule_many(0, ids, [5] * count)
        return (wheel,), {}

    def run(wheel: TimerWheel) -> tuple[list[int], list[int], int | None]:
        return wheel.advance(5, count)

    assert ([0] * count, ids, None) == run(setup()[0][0])
    benchmark.pedantic(run, setup=setup, rounds=50)
