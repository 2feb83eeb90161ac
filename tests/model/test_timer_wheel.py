"""The built extension's TimerWheel against its naive twin, its refusals, and several threads.

The core has its own model test in Rust; this one covers the glue as well.
"""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from oracles.timer_wheel import NaiveTimerWheel
from pacewheel import _core
from pacewheel._core import BeyondHorizon, TimerWheel, WheelFull

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK_MS = 1024
REACH_MS = TimerWheel.REACH_MS

kinds = st.integers(0, 3)
ids = st.one_of(st.integers(0, 11), st.sampled_from([-(2**63), -1, 2**63 - 1]))
distances = st.one_of(
    st.integers(0, 8),
    st.builds(lambda blocks, off: blocks * BLOCK_MS + off, st.integers(1, 5), st.integers(-2, 2)),
    st.integers(0, REACH_MS),
    st.integers(REACH_MS - 2, REACH_MS + 1),
    st.integers(-5_000, -1),
)


class WheelMachine(RuleBasedStateMachine):
    """Every operation on both; all that can be seen must agree after each."""

    @initialize(now_ms=st.integers(-3_000, 3_000), capacity=st.sampled_from([3, 20, 1_000]))
    def start(self, now_ms: int, capacity: int) -> None:
        """Make both."""
        self.now_ms = now_ms
        self.wheel = TimerWheel(now_ms, capacity)
        self.oracle = NaiveTimerWheel(now_ms, capacity)

    @rule(kind=kinds, id_=ids, distance=distances)
    def schedule(self, kind: int, id_: int, distance: int) -> None:
        """Set one timer, or be refused by both."""
        deadline_ms = self.now_ms + distance
        try:
            self.oracle.schedule(kind, id_, deadline_ms)
        except (BeyondHorizon, WheelFull) as refusal:
            with pytest.raises(type(refusal)):
                self.wheel.schedule(kind, id_, deadline_ms)
        else:
            assert self.wheel.schedule(kind, id_, deadline_ms) == self.wheel.next_deadline()

    @rule(kind=kinds, pairs=st.lists(st.tuples(ids, distances), max_size=8))
    def schedule_many(self, kind: int, pairs: list[tuple[int, int]]) -> None:
        """Set many timers, or none if one of them is refused."""
        many = [id_ for id_, _ in pairs]
        deadlines_ms = [self.now_ms + distance for _, distance in pairs]
        try:
            self.oracle.schedule_many(kind, many, deadlines_ms)
        except (BeyondHorizon, WheelFull) as refusal:
            with pytest.raises(type(refusal)):
                self.wheel.schedule_many(kind, many, deadlines_ms)
        else:
            next_ms = self.wheel.schedule_many(kind, many, deadlines_ms)
            assert next_ms == self.wheel.next_deadline()

    @rule(kind=kinds, id_=ids)
    def cancel(self, kind: int, id_: int) -> None:
        """Take one timer out."""
        assert self.oracle.cancel(kind, id_) is self.wheel.cancel(kind, id_)

    @rule(kind=kinds, many=st.lists(ids, max_size=8))
    def cancel_many(self, kind: int, many: list[int]) -> None:
        """Take many timers out."""
        assert self.oracle.cancel_many(kind, many) == self.wheel.cancel_many(kind, many)

    @rule(distance=distances, limit=st.sampled_from([1, 2, 4_096]))
    def advance(self, distance: int, limit: int) -> None:
        """Move time, now and then backwards."""
        now_ms = self.now_ms + distance
        kinds_due, ids_due, next_ms = self.oracle.advance(now_ms, limit)
        wheel_kinds, wheel_ids, wheel_next_ms = self.wheel.advance(now_ms, limit)
        assert (kinds_due, ids_due) == (wheel_kinds, wheel_ids)
        assert wheel_next_ms == self.wheel.next_deadline()
        if next_ms is not None and next_ms > max(now_ms, self.now_ms):
            assert wheel_next_ms is not None
            assert wheel_next_ms > now_ms
        self.now_ms = max(self.now_ms, now_ms)

    @invariant()
    def agree(self) -> None:
        """Sizes agree, the next deadline is never late, and the wheel is sound."""
        if not hasattr(self, "wheel"):
            return
        self.wheel.validate()
        assert len(self.oracle) == len(self.wheel) == self.wheel.stats()["live"]
        assert [self.oracle.count(kind) for kind in range(4)] == [
            self.wheel.count(kind) for kind in range(4)
        ]
        exact_ms, next_ms = self.oracle.next_deadline(), self.wheel.next_deadline()
        if exact_ms is None or next_ms is None:
            assert exact_ms == next_ms
        else:
            assert exact_ms // BLOCK_MS == next_ms // BLOCK_MS
            assert next_ms <= exact_ms


TestWheelMachine = WheelMachine.TestCase


def test_timers_of_one_millisecond_come_in_the_order_of_scheduling() -> None:
    """Also when some of them waited in the far wheel and others did not."""
    wheel = TimerWheel(0, 10)
    wheel.schedule(0, 1, 1_030)
    wheel.advance(1_020, 10)
    wheel.schedule(1, 2, 1_030)
    wheel.advance(1_024, 10)
    wheel.schedule(0, 3, 1_030)
    wheel.schedule(0, 4, 1_029)
    assert ([0, 0, 1, 0], [4, 1, 2, 3], None) == wheel.advance(1_030, 10)


def test_without_cancels_the_next_deadline_is_exact() -> None:
    """The driver must not wake at the start of a block only to find nothing."""
    wheel = TimerWheel(0, 10)
    assert 300_007 == wheel.schedule(0, 1, 300_007)
    assert ([], [], 300_007) == wheel.advance(300_006, 10)
    assert ([0], [1], None) == wheel.advance(300_007, 10)


def test_a_clock_that_steps_back_neither_loses_nor_advances_anything() -> None:
    """The wheel's time stays; what is not due stays; what was past is due at once."""
    wheel = TimerWheel(10_000, 10)
    wheel.schedule(0, 1, 10_005)
    assert ([], [], 10_005) == wheel.advance(9_000, 10)
    assert 10_000 == wheel.schedule(0, 2, 9_500)
    assert ([0], [2], 10_005) == wheel.advance(9_500, 10)
    assert ([0], [1], None) == wheel.advance(10_005, 10)


def test_the_reach_counts_from_the_wheels_time() -> None:
    """One millisecond more is refused by name, and the live timer keeps its deadline."""
    wheel = TimerWheel(0, 10)
    wheel.schedule(0, 1, REACH_MS)
    with pytest.raises(BeyondHorizon, match="advance the wheel to the present"):
        wheel.schedule(0, 1, REACH_MS + 1)
    assert REACH_MS == wheel.next_deadline()
    wheel.advance(1, 10)
    assert REACH_MS + 1 == wheel.schedule(0, 1, REACH_MS + 1)
    assert issubclass(BeyondHorizon, ValueError)


def test_schedule_many_does_all_or_nothing() -> None:
    """Whether it is refused for the horizon or for the capacity."""
    wheel = TimerWheel(0, 3)
    with pytest.raises(BeyondHorizon):
        wheel.schedule_many(0, [1, 2], [5, REACH_MS + 1])
    with pytest.raises(WheelFull, match="holds its 3 timers"):
        wheel.schedule_many(0, [1, 2, 3, 4], [5, 5, 5, 5])
    assert 0 == len(wheel)
    assert 5 == wheel.schedule_many(0, [1, 2, 3, 1], [9, 6, 7, 5])
    with pytest.raises(WheelFull):
        wheel.schedule(1, 1, 5)
    assert 4 == wheel.schedule(0, 3, 4)
    assert issubclass(WheelFull, RuntimeError)
    wheel.validate()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda wheel: wheel.schedule(4, 1, 1), ValueError, "choose 0 to 3"),
        (lambda wheel: wheel.cancel(-1, 1), ValueError, "choose 0 to 3"),
        (lambda wheel: wheel.count(300), ValueError, "choose 0 to 3"),
        (lambda wheel: wheel.advance(1, 0), ValueError, "at least 1"),
        (lambda wheel: wheel.schedule_many(0, [1], []), ValueError, "one deadline for each id"),
        (lambda wheel: wheel.schedule(0, 2**63, 1), OverflowError, "too large"),
        (lambda wheel: wheel.schedule_many(0, ["1"], [1]), TypeError, "int"),
        (lambda wheel: wheel.cancel_many(0, (1,)), TypeError, "list"),
        (lambda _: TimerWheel(0, 0), ValueError, "choose 1 to 67108864"),
        (lambda _: TimerWheel(0, -5), ValueError, "out of range"),
    ],
)
def test_bad_arguments_are_refused_and_change_nothing(
    call: Callable[[Any], object], error: type[Exception], message: str
) -> None:
    """Each with the permitted range in the message."""
    wheel = TimerWheel(0, 4)
    with pytest.raises(error, match=message):
        call(wheel)
    assert 0 == len(wheel)
    wheel.validate()


def test_every_timer_is_handed_over_once_when_threads_share_a_wheel() -> None:
    """Four threads schedule and advance at once: no timer is lost, none comes twice."""
    per_thread, threads_count = 20_000, 4
    wheel = TimerWheel(0, per_thread * threads_count)
    received: list[list[tuple[int, int]]] = [[] for _ in range(threads_count)]
    barrier = threading.Barrier(threads_count)

    def work(kind: int) -> None:
        barrier.wait()
        for start in range(0, per_thread, 100):
            batch = list(range(start, start + 100))
            wheel.schedule_many(kind, batch, [start + offset for offset in range(100)])
            kinds_due, ids_due, _ = wheel.advance(start, 70)
            received[kind].extend(zip(kinds_due, ids_due, strict=True))

    threads = [threading.Thread(target=work, args=(kind,)) for kind in range(threads_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    wheel.validate()
    kinds_due, ids_due, next_ms = wheel.advance(per_thread * 2, per_thread * threads_count)
    assert next_ms is None
    everything = [*zip(kinds_due, ids_due, strict=True)]
    for part in received:
        everything.extend(part)
    expected = [(kind, id_) for kind in range(threads_count) for id_ in range(per_thread)]
    assert expected == sorted(everything)


def test_the_due_come_in_deadline_order_whatever_the_limit() -> None:
    """Cutting a burst into small batches gives the same sequence as taking it whole."""
    deadlines_ms = [id_ * 7_919 % 3_000 for id_ in range(1_000)]
    whole, cut = TimerWheel(0, 1_000), TimerWheel(0, 1_000)
    for wheel in (whole, cut):
        wheel.schedule_many(0, list(range(1_000)), deadlines_ms)
    _, expected, _ = whole.advance(3_000, 1_000)
    pieces: list[int] = []
    while len(cut):
        _, ids_due, next_ms = cut.advance(3_000, 7)
        pieces += ids_due
        assert next_ms is None or next_ms <= 3_000
    assert expected == pieces
    assert all(deadlines_ms[one] <= deadlines_ms[two] for one, two in pairwise(pieces))


def test_build_info_tells_what_was_compiled() -> None:
    """Benches refuse a debug build by it."""
    assert {"profile", "target", "version"} == set(_core.build_info)
    assert _core.build_info["profile"] in {"release", "debug"}
