"""The built extension's FlightCache against its naive twin, its refusals, and the garbage collector.

The core has its own model test in Rust; this one covers the glue as well.
"""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from oracles.flight_cache import NaiveFlightCache
from pacewheel._core import FlightCache, FlightUnknown

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = {
    "capacity": 4,
    "flights_max": 3,
    "ttl_ms": 100,
    "stale_ms": 50,
    "absent_ttl_ms": 10,
    "retry_ms": 10,
}
MISSING = object()

keys = st.one_of(st.integers(0, 6), st.sampled_from([-(2**63), -1, 2**63 - 1]))
jitters = st.integers(-100, 100)


class FlightMachine(RuleBasedStateMachine):
    """Every operation on both; all that can be seen must agree after each."""

    @initialize(capacity=st.integers(1, 6), flights_max=st.integers(1, 6))
    def start(self, capacity: int, flights_max: int) -> None:
        """Make both."""
        limits = {**LIMITS, "capacity": capacity, "flights_max": min(capacity, flights_max)}
        self.cache: FlightCache[object] = FlightCache(**limits)
        self.oracle = NaiveFlightCache(**limits)
        self.now_ms = 0
        self.flights: list[int] = []

    @rule(key=keys)
    def peek(self, key: int) -> None:
        """Look without counting a miss."""
        answer = self.cache.peek(key, self.now_ms, MISSING)
        assert self.oracle.peek(key, self.now_ms, MISSING) is answer

    @rule(key=keys)
    def lookup(self, key: int) -> None:
        """Ask, and note the flight if this is its leader."""
        found, value, flight = self.cache.lookup(key, self.now_ms)
        assert self.oracle.lookup(key, self.now_ms) == (found, value, flight)
        if found in {FlightCache.STALE, FlightCache.LEAD} and flight:
            self.flights.append(flight)

    @rule(nth=st.integers(0, 5), jitter=jitters)
    def finish(self, nth: int, jitter: int) -> None:
        """End a flight, whichever, with a value; one that is over is refused by both."""
        flight, value = self._land(nth), object()
        try:
            stored = self.oracle.finish(flight, value, self.now_ms, jitter)
        except FlightUnknown:
            with pytest.raises(FlightUnknown, match="not in the air"):
                self.cache.finish(flight, value, self.now_ms, jitter)
        else:
            assert stored is self.cache.finish(flight, value, self.now_ms, jitter)

    @rule(nth=st.integers(0, 5), jitter=jitters)
    def finish_absent(self, nth: int, jitter: int) -> None:
        """End a flight with nothing."""
        if self.flights:
            flight = self._land(nth)
            stored = self.oracle.finish_absent(flight, self.now_ms, jitter)
            assert stored is self.cache.finish_absent(flight, self.now_ms, jitter)

    @rule(nth=st.integers(0, 5), timed_out=st.booleans())
    def fail(self, nth: int, timed_out: bool) -> None:  # noqa: FBT001 - hypothesis draws it
        """End a flight without an answer."""
        if self.flights:
            flight = self._land(nth)
            self.oracle.fail(flight, self.now_ms, timed_out)
            self.cache.fail(flight, self.now_ms, timed_out)

    @rule(key=keys, jitter=jitters)
    def put(self, key: int, jitter: int) -> None:
        """Store without a flight."""
        value = object()
        stored = self.oracle.put(key, value, self.now_ms, jitter)
        assert stored is self.cache.put(key, value, self.now_ms, jitter)

    @rule(key=keys)
    def invalidate(self, key: int) -> None:
        """Forget one key."""
        assert self.oracle.invalidate(key) is self.cache.invalidate(key)

    @rule()
    def invalidate_all(self) -> None:
        """Forget everything."""
        self.oracle.invalidate_all()
        self.cache.invalidate_all()

    @rule(by_ms=st.sampled_from([0, 1, 9, 10, 11, 40, 500]))
    def let_time_pass(self, by_ms: int) -> None:
        """Up to an edge, over it, or far."""
        self.now_ms += by_ms

    @invariant()
    def agree(self) -> None:
        """Counters and gauges agree, and the cache is sound."""
        if hasattr(self, "cache"):
            self.cache.validate()
            assert self.oracle.stats() == self.cache.stats()
            assert len(self.oracle) == len(self.cache)

    def _land(self, nth: int) -> int:
        return self.flights.pop(nth % len(self.flights)) if self.flights else 2**40


TestFlightMachine = FlightMachine.TestCase


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda _: FlightCache(**{**LIMITS, "capacity": 0}), ValueError, "choose 1 to 16777216"),
        (lambda _: FlightCache(**{**LIMITS, "capacity": -1}), ValueError, "out of range"),
        (lambda _: FlightCache(**{**LIMITS, "flights_max": 5}), ValueError, "to the capacity, 4"),
        (lambda _: FlightCache(**{**LIMITS, "ttl_ms": 0}), ValueError, "ttl_ms 0"),
        (lambda _: FlightCache(**{**LIMITS, "retry_ms": -1}), ValueError, "retry_ms -1"),
        (lambda cache: cache.finish(0, "x", 0, 0), FlightUnknown, "flight 0"),
        (lambda cache: cache.fail(7, 0, True), FlightUnknown, "flight 7"),
        (lambda cache: cache.lookup("1", 0), TypeError, "int"),
        (lambda cache: cache.peek(2**63, 0, None), OverflowError, "too large"),
        (lambda cache: cache.put(1, "x", 0, 2**15), OverflowError, "out of range"),
    ],
)
def test_bad_arguments_are_refused_and_change_nothing(
    call: Callable[[Any], object], error: type[Exception], message: str
) -> None:
    """Each with the permitted range or the next step in the message."""
    cache: FlightCache[str] = FlightCache(**LIMITS)
    with pytest.raises(error, match=message):
        call(cache)
    assert {0} == set(cache.stats().values())
    assert issubclass(FlightUnknown, ValueError)


class Value:
    """A value that weak references can watch."""

    def __init__(self) -> None:
        self.cache: object = None


def test_caches_in_a_cycle_with_their_values_are_collected() -> None:
    """A thousand caches that hold values that hold their cache leave nothing behind."""
    watched: list[weakref.ref[Value]] = []
    for _ in range(1_000):
        cache: FlightCache[Value] = FlightCache(**LIMITS)
        for key in range(3):
            value = Value()
            value.cache = cache
            cache.put(key, value, 0, 0)
            watched.append(weakref.ref(value))
        cache.invalidate_all()
        cache.put(0, value, 0, 0)
    del cache, value
    gc.collect()
    assert 0 == sum(reference() is not None for reference in watched)


def test_a_value_whose_end_calls_the_cache_does_not_block_it() -> None:
    """Values are dropped outside the lock: by a put, a load, an eviction, a refused finish."""
    cache: FlightCache[Any] = FlightCache(**{**LIMITS, "capacity": 1, "flights_max": 1})
    ends: list[int] = []

    class Nosy:
        def __del__(self) -> None:
            ends.append(len(cache))

    cache.put(1, Nosy(), 0, 0)
    cache.put(1, Nosy(), 0, 0)
    cache.invalidate(1)
    _, _, flight = cache.lookup(1, 0)
    cache.put(1, Nosy(), 0, 0)
    assert cache.finish(flight, Nosy(), 0, 0) is False
    with pytest.raises(FlightUnknown):
        cache.finish(flight, Nosy(), 0, 0)
    cache.lookup(2, 0)
    gc.collect()
    assert [1] * 5 == ends


def test_a_dropped_value_is_freed_at_once() -> None:
    """Replaced, invalidated or evicted: the cache keeps no reference."""
    cache: FlightCache[Value] = FlightCache(**LIMITS)
    value = Value()
    watched = weakref.ref(value)
    cache.put(1, value, 0, 0)
    del value
    assert watched() is not None
    cache.invalidate(1)
    assert watched() is None


def test_threads_that_share_a_cache_load_each_generation_once() -> None:
    """Four threads ask for the same keys at once: nobody leads a flight that another leads."""
    cache: FlightCache[int] = FlightCache(**{**LIMITS, "capacity": 64, "flights_max": 64})
    barrier = threading.Barrier(4)
    led: list[list[int]] = [[] for _ in range(4)]

    def work(mine: list[int]) -> None:
        barrier.wait()
        for round_ in range(2_000):
            found, _, flight = cache.lookup(round_ % 50, 0)
            if found == FlightCache.LEAD:
                mine.append(flight)
                cache.finish(flight, round_, 0, 0)
            if round_ % 7 == 0:
                cache.invalidate(round_ % 50)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in led]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    cache.validate()
    flights = [flight for mine in led for flight in mine]
    assert len(flights) == len(set(flights)) > 50
    assert 0 == cache.stats()["in_flight"]
