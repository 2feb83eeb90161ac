"""The rules of pace on their own: virtual time, no database."""

from __future__ import annotations

import random

import pytest

from pacewheel import Breaker, Outcome, Task
from pacewheel.errors import ConfigInvalid
from pacewheel.outcomes import said_of
from pacewheel.pacing import (
    ADAPTIVE_MAX_MS,
    ADAPTIVE_MIN_MS,
    CALM,
    CIRCUIT_OPEN,
    RETRY_AFTER,
    Lesson,
    Pace,
    Said,
    learn,
)
from pacewheel.registry import Handler

ANSWER = Said(answered=True)
BLOCKING = Said(blocking=True)
FAILURE = Said(failed=True)
BREAKER = Breaker(frozenset({"connect"}), failures=3, pause_s=10, pause_max_s=60)


async def complete(_task: Task) -> None:
    """Do what is asked."""


def recovery_s(delay_ms: int, below_ms: int) -> float:
    """Return how long a site must answer until the adaptive delay is below, one request a gap."""
    pace, passed_ms = Pace(adaptive_delay_ms=delay_ms), 0
    while pace.adaptive_delay_ms >= below_ms:
        passed_ms += pace.adaptive_delay_ms
        pace = learn(pace, ANSWER, BREAKER, pace.adaptive_delay_ms).pace
    return passed_ms / 1000


def test_recovery_takes_minutes_and_not_an_hour() -> None:
    """From 21 s to below 10 s, and from any delay to none (lesson 40: it took 59 minutes)."""
    assert recovery_s(21_000, 10_000) < 100
    assert recovery_s(21_000, 1) < 7 * 60
    assert recovery_s(ADAPTIVE_MAX_MS, 1) < 10 * 60


@pytest.mark.parametrize(
    ("gap_ms", "expected_ms"),
    [(0, 500), (100, 500), (1000, 2000), (45_000, 60_000), (90_000, 60_000)],
)
def test_a_blocking_answer_doubles_the_gap_up_to_a_cap(gap_ms: int, expected_ms: int) -> None:
    """Whatever the gap came from; nothing starts before the new gap has passed."""
    lesson = learn(CALM, BLOCKING, BREAKER, gap_ms)
    assert expected_ms == lesson.pace.adaptive_delay_ms == lesson.block_ms
    assert RETRY_AFTER == lesson.block_reason
    assert 0 == lesson.pace.failures


def test_of_two_lessons_in_a_batch_the_last_holds_and_no_refusal_is_lost() -> None:
    """The pace of the last one, the longer pause of both."""
    refused = Lesson(Pace(1000), 5000, RETRY_AFTER, refused=True)
    assert Lesson(Pace(666), 5000, refused=True) == refused.then(Lesson(Pace(666)))
    assert Lesson(Pace(666), 9000) == Lesson(Pace(1000)).then(Lesson(Pace(666), 9000))


def test_an_answer_of_a_calm_domain_changes_nothing() -> None:
    """Not even an object is made for it."""
    assert CALM is learn(CALM, ANSWER, BREAKER, 0).pace


def test_a_site_that_blocks_above_a_rate_is_asked_near_that_rate() -> None:
    """A limit of one request in 2 s: few are refused, and the pace used is more than a third of it."""
    pace, now_ms, last_ms, refused, asked = CALM, 0, -10_000, 0, 0
    while now_ms < 3_600_000:
        asked += 1
        said = BLOCKING if now_ms - last_ms < 2000 else ANSWER
        last_ms = now_ms
        refused += said.blocking
        lesson = learn(pace, said, BREAKER, max(500, pace.adaptive_delay_ms))
        pace = lesson.pace
        now_ms += max(500, pace.adaptive_delay_ms, lesson.block_ms)
    assert refused / asked < 0.05
    assert asked > 3600 / 2 / 3


def test_a_circuit_opens_after_failures_in_a_row_and_pauses_longer_each_time() -> None:
    """Below the limit nothing happens; beyond it the pause doubles up to its cap."""
    pace, pauses = CALM, []
    for _ in range(7):
        lesson = learn(pace, FAILURE, BREAKER, 0)
        pace = lesson.pace
        pauses.append(lesson.block_ms)
        assert pace.is_open == (pace.failures >= 3)
        assert lesson.block_reason == (CIRCUIT_OPEN if pace.is_open else None)
    assert [0, 0, 10_000, 20_000, 40_000, 60_000, 60_000] == pauses
    assert CALM == learn(pace, ANSWER, BREAKER, 0).pace


def test_an_answer_in_between_starts_the_count_anew() -> None:
    """Only failures in a row open a circuit."""
    pace = CALM
    for said in (FAILURE, FAILURE, ANSWER, FAILURE, FAILURE):
        pace = learn(pace, said, BREAKER, 0).pace
    assert (2, False) == (pace.failures, pace.is_open)


def test_the_rules_keep_their_bounds() -> None:
    """Whatever a site says, in whatever order: the delay is none or within its bounds."""
    rng = random.Random(7)
    said = [ANSWER, BLOCKING, FAILURE, Said(blocking=True, failed=True), Said()]
    pace = CALM
    for _ in range(5000):
        lesson = learn(pace, rng.choice(said), BREAKER, rng.choice([0, 90_000]))
        pace = lesson.pace
        delay_ms = pace.adaptive_delay_ms
        assert delay_ms == 0 or ADAPTIVE_MIN_MS <= delay_ms <= ADAPTIVE_MAX_MS
        assert 0 <= lesson.block_ms <= ADAPTIVE_MAX_MS
        assert (lesson.block_ms > 0) == (lesson.block_reason is not None)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome.completed(), ANSWER),
        (Outcome.completed(http_status=200), ANSWER),
        (Outcome.failed("http_4xx", http_status=404), ANSWER),
        (Outcome.retry("blocked", http_status=429), Said(blocking=True, failed=True)),
        (Outcome.retry("busy", http_status=503), BLOCKING),
        (Outcome.retry("connect"), FAILURE),
        (Outcome.retry("http_5xx", http_status=500), Said()),
        (Outcome.retry("exception"), Said()),
        (Outcome.failed("refused"), Said()),
        (Outcome.skipped("robots"), Said()),
    ],
    ids=str,
)
def test_only_blocking_and_network_errors_count_against_a_site(
    outcome: Outcome, said: Said
) -> None:
    """A 404 is an answer like any other (lesson 28); what is the handler's own says nothing."""
    handler = Handler("h", complete, breaker=Breaker({"connect", "blocked"}))
    assert said == said_of(outcome, handler)


@pytest.mark.parametrize(
    "options",
    [
        {"never_retry": "not_found"},
        {"breaker": Breaker("connect")},  # type: ignore[arg-type] # the mistake that is tested
        {"breaker": Breaker(failures=0)},
        {"breaker": Breaker(pause_s=0)},
        {"breaker": Breaker(pause_s=10, pause_max_s=5)},
        {"attempts": 32_001},
    ],
    ids=str,
)
def test_a_policy_that_can_not_work_is_refused(options: dict[str, object]) -> None:
    """At registration, in one line that names the handler."""
    with pytest.raises(ConfigInvalid, match="handler h: "):
        Handler("h", complete, **options)  # type: ignore[arg-type] # as above
