"""The scaler's policy: every decision has its one reason, and no load makes the slots thrash."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacewheel.scaling import (
    COOLDOWN,
    HEADROOM_MIN,
    MEMORY_FULL,
    MEMORY_HIGH,
    QUIET_MIN,
    SHORTAGE_MIN,
    Reading,
    ScaleDecision,
    ScaleReason,
    Scaling,
    Shortage,
    Sizing,
    decide,
)

UP, DOWN, KEEP = ScaleDecision.SCALE_UP, ScaleDecision.SCALE_DOWN, ScaleDecision.NO_CHANGE
CALM = Reading(busy=0, shortage=0.0, runnable=False, headroom=1.0, memory=0.1)


def sizing(slots: int = 16, since_change: int = 100, quiet: int = 100) -> Sizing:
    """Slots between 8 and 64 that changed long ago."""
    return Sizing(slots, 8, 64, since_change, quiet)


def reading(
    busy: int = 0,
    shortage: float = 0.0,
    *,
    runnable: bool = False,
    headroom: float = 1.0,
    memory: float = 0.1,
) -> Reading:
    """A calm reading with what a test changes of it."""
    return Reading(busy, shortage, runnable, headroom, memory)


@pytest.mark.parametrize(
    ("state", "seen", "expected"),
    [
        (sizing(), reading(16, 0.5), (UP, 32, "runnable_backlog")),
        (sizing(48), reading(48, 0.05), (UP, 64, "runnable_backlog")),
        (sizing(64), reading(64, 1.0), (KEEP, 64, "at_max")),
        (sizing(), reading(16, 0.5, memory=0.85), (KEEP, 16, "memory_limit")),
        (sizing(), reading(16, 0.5, headroom=0.05), (KEEP, 16, "db_pool_limit")),
        (sizing(since_change=1), reading(16, 0.5), (KEEP, 16, "cooldown")),
        (sizing(), reading(16, 0.04), (KEEP, 16, "sufficient_capacity")),
        (sizing(), reading(9), (KEEP, 16, "sufficient_capacity")),
        (sizing(64), reading(63), (KEEP, 64, "sufficient_capacity")),
        (sizing(64), reading(64), (KEEP, 64, "at_max")),
        (sizing(), reading(8), (DOWN, 12, "idle_capacity")),
        (sizing(9), reading(0), (DOWN, 8, "idle_capacity")),
        (sizing(quiet=29), reading(0), (KEEP, 16, "cooldown")),
        (sizing(since_change=29), reading(0), (KEEP, 16, "cooldown")),
        (sizing(8), reading(4, runnable=True), (KEEP, 8, "at_min")),
        (sizing(8), reading(0), (KEEP, 8, "no_runnable_tasks")),
        (sizing(), reading(16, memory=0.9), (DOWN, 12, "memory_limit")),
        (sizing(since_change=1), reading(16, memory=0.95), (KEEP, 16, "cooldown")),
        (sizing(8), reading(8, 1.0, memory=0.99), (KEEP, 8, "memory_limit")),
    ],
)
def test_each_situation_has_its_decision_and_reason(
    state: Sizing, seen: Reading, expected: tuple[ScaleDecision, int, str]
) -> None:
    """One row a situation; together they give every reason of the closed set."""
    assert Scaling(expected[0], expected[1], ScaleReason(expected[2])) == decide(state, seen)


def every_situation() -> list[tuple[Sizing, Reading]]:
    """All combinations of values on both sides of every threshold."""
    bounds = [(1, 1), (1, 2), (8, 8), (8, 64), (3, 1000)]
    sizings = [
        Sizing(slots, low, high, since_change, quiet)
        for low, high in bounds
        for slots in sorted({low, min(low + 1, high), (low + high) // 2, max(low, high - 1), high})
        for since_change in (1, COOLDOWN, QUIET_MIN - 1, QUIET_MIN)
        for quiet in (0, QUIET_MIN - 1, QUIET_MIN)
    ]
    seen = [
        (share, shortage, headroom, memory)
        for share in (0.0, 0.4, 0.6, 1.0)
        for shortage in (0.0, SHORTAGE_MIN / 2, SHORTAGE_MIN, 1.0)
        for headroom in (0.0, HEADROOM_MIN, 1.0)
        for memory in (0.0, MEMORY_FULL, MEMORY_HIGH, 1.2)
    ]
    return [
        (
            state,
            reading(int(state.slots * share), shortage, headroom=headroom, memory=memory)
            if share == 0.0
            else reading(
                math.ceil(state.slots * share),
                shortage,
                runnable=True,
                headroom=headroom,
                memory=memory,
            ),
        )
        for state, (share, shortage, headroom, memory) in itertools.product(sizings, seen)
    ]


def test_in_every_situation_the_decision_keeps_its_promises() -> None:
    """Bounds, direction, limits and the reasons that go with each decision, exhaustively."""
    allowed = {
        UP: {ScaleReason.RUNNABLE_BACKLOG},
        DOWN: {ScaleReason.IDLE_CAPACITY, ScaleReason.MEMORY_LIMIT},
        KEEP: set(ScaleReason) - {ScaleReason.RUNNABLE_BACKLOG, ScaleReason.IDLE_CAPACITY},
    }
    met: set[ScaleReason] = set()
    for state, seen in every_situation():
        scaling = decide(state, seen)
        met.add(scaling.reason)
        assert scaling.reason in allowed[scaling.decision]
        assert state.slots_min <= scaling.target <= state.slots_max
        match scaling.decision:
            case ScaleDecision.SCALE_UP:
                assert state.slots < scaling.target <= 2 * state.slots
                assert seen.shortage >= SHORTAGE_MIN
                assert seen.memory < MEMORY_FULL
                assert seen.headroom >= HEADROOM_MIN
            case ScaleDecision.SCALE_DOWN:
                assert scaling.target < state.slots
                idle = min(state.quiet, state.since_change) >= QUIET_MIN
                assert seen.memory >= MEMORY_HIGH or (idle and 2 * seen.busy <= state.slots)
            case ScaleDecision.NO_CHANGE:
                assert scaling.target == state.slots
    assert set(ScaleReason) == met


@given(
    st.integers(1, 100),
    st.integers(0, 900),
    st.lists(
        st.tuples(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1.5), st.booleans()),
        max_size=200,
    ),
)
def test_tasks_that_only_wait_never_get_slots(
    slots_min: int, more: int, seen: list[tuple[int, float, float, bool]]
) -> None:
    """Without a shortage of slots they never grow, whatever else is read, in whatever order."""
    state = Sizing(slots_min + more, slots_min, slots_min + more)
    before = state.slots
    for busy, headroom, memory, runnable in seen:
        scaling = state.evaluate(Reading(min(busy, state.slots), 0.0, runnable, headroom, memory))
        assert scaling.decision is not UP
        assert slots_min <= state.slots <= before
        before = state.slots


def simulate(demand: Callable[[int], int], evaluations: int, slots: int = 64) -> list[Scaling]:
    """Decisions in virtual time, where `demand` says how many tasks would run at each evaluation."""
    state = Sizing(slots, 8, 64)
    decisions = []
    for number in range(evaluations):
        wanted = demand(number)
        busy = min(wanted, state.slots)
        shortage = 1.0 if wanted > state.slots else 0.0
        decisions.append(state.evaluate(reading(busy, shortage, runnable=wanted > 0)))
    return decisions


def changes(decisions: list[Scaling]) -> list[Scaling]:
    """Those that changed the slots."""
    return [each for each in decisions if each.decision is not KEEP]


def changes_max(evaluations: int) -> int:
    """What the policy promises of any load: a scale-down a quiet time, and what they took back."""
    downs = evaluations // QUIET_MIN
    return 2 * downs + math.ceil(math.log2(64 / 8))


@pytest.mark.parametrize("period", [2, 3, 5, 10, 20, 40, 59])
@pytest.mark.parametrize("high", [12, 40, 64, 1000])
def test_a_square_wave_faster_than_the_quiet_time_changes_nothing_once_met(
    period: int, high: int
) -> None:
    """On and off for half a period each: the slots rise to the high side and stay there."""

    def wave(number: int) -> int:
        return high if number % period < (period + 1) // 2 else 0

    decisions = simulate(wave, 3000, slots=8)
    assert {UP} == {each.decision for each in changes(decisions)}
    assert len(changes(decisions)) <= 3
    assert [] == changes(decisions[200:])
    assert decisions[-1].target >= min(high, 64)


@pytest.mark.parametrize("period", [60, 61, 120, 200, 1000])
def test_a_slow_square_wave_is_followed_without_thrash(period: int) -> None:
    """Each half that is long enough is one adaptation: down by quarters, up at once, no more."""
    decisions = simulate(lambda number: 64 if number % period < period // 2 else 0, 4000)
    downs = [each for each in changes(decisions) if each.decision is DOWN]
    ups = [each for each in changes(decisions) if each.decision is UP]
    assert downs
    assert len(downs) <= 4000 // period * min(8, period // 2 // QUIET_MIN + 1)
    assert len(ups) <= 4000 // period * 3
    assert len(changes(decisions)) <= changes_max(4000)


def test_a_ramp_is_followed_up_and_down() -> None:
    """Never more than one doubling behind on the way up, and back at the least at its end."""

    def ramp(number: int) -> int:
        return min(number // 4, 64) if number < 400 else max(0, 64 - (number - 400) // 4)

    decisions = simulate(ramp, 1200, slots=8)
    late = sum(ramp(n) > each.target for n, each in enumerate(decisions[:400]))
    assert late <= 3 * COOLDOWN
    assert 64 == decisions[399].target
    assert 8 == decisions[-1].target
    assert len(changes(decisions)) <= 3 + 8


def test_a_burst_on_an_idle_process_has_all_slots_within_a_few_evaluations() -> None:
    """Eight times as many slots take three doublings, an evaluation apart."""
    decisions = simulate(lambda _: 1000, 20, slots=8)
    assert [16, 32, 64] == [each.target for each in changes(decisions)]
    assert 64 == decisions[2 * COOLDOWN].target
    assert ScaleReason.AT_MAX is decisions[-1].reason


def test_a_constant_load_settles() -> None:
    """For every load there is a size that is neither too small nor more than twice too large."""
    for wanted in range(65):
        for slots in (8, 13, 27, 40, 64):
            decisions = simulate(lambda _, wanted=wanted: wanted, 400, slots)
            assert [] == changes(decisions[-60:])
            assert wanted <= decisions[-1].target <= max(8, 2 * wanted)


@pytest.mark.parametrize("seed", range(20))
def test_no_random_load_makes_the_slots_thrash(seed: int) -> None:
    """Bursts and lulls of any length: no more changes than the policy promises of any load."""
    rng = random.Random(seed)
    load: list[int] = []
    while len(load) < 5000:
        load += [rng.choice([0, 0, rng.randrange(200)])] * rng.randrange(1, rng.choice([5, 100]))
    assert len(changes(simulate(load.__getitem__, 5000))) <= changes_max(5000)


@given(st.lists(st.integers(0, 200), max_size=300))
def test_no_load_at_all_makes_the_slots_thrash(load: list[int]) -> None:
    """The bound on changes holds for whatever is found; two of them are never in one cooldown."""
    decisions = simulate(load.__getitem__, len(load))
    assert len(changes(decisions)) <= changes_max(len(load))
    at = [number for number, each in enumerate(decisions) if each.decision is not KEEP]
    assert all(b - a >= COOLDOWN for a, b in itertools.pairwise(at))


def test_memory_that_runs_out_takes_slots_away_and_gives_them_back_only_when_it_is_free() -> None:
    """A process whose memory follows its slots stays below the limit under full load."""
    state = Sizing(64, 8, 64)
    for _ in range(300):
        memory = 0.3 + state.slots / 64
        state.evaluate(reading(state.slots, 1.0, runnable=True, memory=memory))
    assert 0.3 + state.slots / 64 < MEMORY_HIGH
    assert state.slots > 8


def test_a_wait_counts_once_a_claim_proved_it() -> None:
    """What ended with a claim that gave nothing counts only if a later one of the chain gave tasks."""
    shortage = Shortage()
    shortage.begin(100)
    shortage.begin(150)
    shortage.end(200)
    assert 0.0 == shortage.take_ms()
    shortage.end(900)
    shortage.prove()
    assert 100.0 == shortage.take_ms()
    assert 0.0 == shortage.take_ms()


def test_a_wait_for_nothing_is_forgotten() -> None:
    """A domain was due and had no task: neither the next wait nor the next claim counts it."""
    shortage = Shortage()
    shortage.begin(100)
    shortage.end(200)
    shortage.drop_unproven()
    shortage.prove()
    assert 0.0 == shortage.take_ms()
    shortage.begin(300)
    shortage.end(350)
    shortage.prove()
    assert 50.0 == shortage.take_ms()


def test_a_wait_counts_while_it_goes_on_once_it_is_sure() -> None:
    """A task claimed ahead waits for a slot: no claim will ever prove it."""
    shortage = Shortage()
    shortage.prove_until(50)
    shortage.begin(100)
    shortage.prove_until(130)
    assert 30.0 == shortage.take_ms()
    shortage.prove_until(170)
    shortage.cancel()
    shortage.prove_until(900)
    assert 40.0 == shortage.take_ms()


def test_a_wait_of_a_domain_that_was_lost_is_forgotten() -> None:
    """Nothing is due any more: the time until the next claim is no wait."""
    shortage = Shortage()
    shortage.begin(100)
    shortage.cancel()
    shortage.end(900)
    shortage.prove()
    assert 0.0 == shortage.take_ms()
