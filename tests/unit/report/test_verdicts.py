"""What bound a job, how long it still needs, and the thresholds of a build."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pacewheel.errors import ConfigInvalid
from pacewheel.model import JobInfo, JobState, WaitingReason
from pacewheel.report import build
from pacewheel.report.bottleneck import judge
from pacewheel.report.build import FIGURES
from pacewheel.report.eta import estimate
from pacewheel.report.facts import Flow, Pace, Sums
from pacewheel.report.thresholds import check, parse
from pacewheel.report.words import FIGURE_WORDS
from tests.reported import facts_of, full_facts, job

# A hundred requests of 80 ms in 100 s: nothing is used up, many tasks were ready.
CALM = Flow(
    attempts=100,
    window_ms=100_000.0,
    busy_ms=9_000.0,
    answer_ms=8_000.0,
    own_ms=5.0,
    waits=100,
    waited_ms=2_000_000.0,
)


@pytest.mark.parametrize(
    ("verdict", "changes", "pace", "concurrency"),
    [
        (None, {"attempts": 4}, {}, 8),
        ("domain_blocked", {}, {"paused_ms": 60_000.0, "pauses": 2}, 8),
        ("domain_delay", {}, {"permitted_sum_ms": 95_000.0, "seen_sum_ms": 100_000.0}, 8),
        (
            "domain_delay",
            {},
            {"permitted_sum_ms": 60_000.0, "seen_sum_ms": 100_000.0, "paused_ms": 40_000.0},
            8,
        ),
        ("retry_backoff", {"retrying_ms": 60_000.0}, {}, 8),
        ("domain_blocked", {"retrying_ms": 60_000.0}, {"paused_ms": 55_000.0, "pauses": 1}, 8),
        (
            "domain_delay",
            {"retrying_ms": 40_000.0},
            {"permitted_sum_ms": 58_000.0, "seen_sum_ms": 100_000.0},
            8,
        ),
        ("concurrency_limit", {"busy_ms": 190_000.0, "answer_ms": 180_000.0}, {}, 2),
        ("server_latency", {"waited_ms": 50_000.0, "busy_ms": 95_000.0}, {}, 8),
        ("database", {"own_ms": 900.0}, {}, 8),
        ("worker_capacity", {}, {"permitted_sum_ms": 30_000.0, "seen_sum_ms": 100_000.0}, 8),
        ("domain_delay", {}, {"permitted_sum_ms": 79_000.0, "seen_sum_ms": 100_000.0}, 8),
        ("concurrency_limit", {"busy_ms": 150_000.0, "answer_ms": 140_000.0}, {}, 2),
        (None, {"waited_ms": 50_000.0}, {}, 8),
        (
            "worker_capacity",
            {"retrying_ms": 60_000.0},
            {"paused_ms": 30_000.0, "pauses": 1},
            8,
        ),
        (
            "worker_capacity",
            {"own_ms": 900.0, "busy_ms": 101_000.0, "answer_ms": 100_000.0},
            {},
            8,
        ),
    ],
)
def test_the_limit_that_was_used_up_is_named(
    verdict: str | None, changes: dict[str, Any], pace: dict[str, Any], concurrency: int
) -> None:
    """Each of the closed set, by the figures that the module's table states."""
    found = judge(job(concurrency=concurrency), replace(CALM, **changes), Pace(**pace))
    assert verdict == found.verdict
    assert found.basis
    assert bool(found.gain) == (verdict is not None)


def test_half_the_gap_gains_half_the_time_until_the_limit_binds() -> None:
    """By the model: a gap of 1 s, answers of 6 s and eight at a time can't go below 0.75 s each."""
    pace = Pace(departures=100, least_gap_ms=1000, most_gap_ms=1000)
    pace = replace(pace, permitted_sum_ms=100_000.0, seen_sum_ms=100_000.0)
    quick = judge(job(), CALM, pace)
    assert "half the gap would gain 50 s" in quick.gain
    slow = judge(job(), replace(CALM, busy_ms=600_000.0, answer_ms=600_000.0), pace)
    assert "half the gap would gain 25 s, and with a concurrency of 12 50 s" in slow.gain
    # The limit binds as tightly: the gap alone gains nothing.
    tied = judge(job(), replace(CALM, busy_ms=800_000.0, answer_ms=800_000.0), pace)
    assert "half the gap would gain 0.0 s, and with a concurrency of 16 50 s" in tied.gain


def test_time_in_a_pause_or_with_retries_alone_is_no_time_of_the_others() -> None:
    """The mean in flight is that of the time in which something could start."""
    pace = Pace(paused_ms=30_000.0, pauses=1)
    found = judge(job(), replace(CALM, busy_ms=50_000.0, retrying_ms=50_000.0), pace)
    assert found.in_flight == pytest.approx(1.0)


def test_faster_answers_gain_no_more_than_half_of_the_answers() -> None:
    """Nor half of the time that the job took."""
    flow = replace(CALM, waited_ms=50_000.0, busy_ms=60_000.0, answer_ms=30_000.0)
    assert "would gain up to 15 s" in judge(job(), flow, Pace()).gain
    flow = replace(flow, busy_ms=300_000.0, answer_ms=300_000.0)
    assert "would gain up to 50 s" in judge(job(), flow, Pace()).gain


def test_twice_the_limit_gains_half_the_time() -> None:
    """Little's law: as many at once, twice as fast; so do answers that take half as long."""
    flow = replace(CALM, busy_ms=200_000.0, answer_ms=200_000.0)
    found = judge(job(concurrency=2), flow, Pace())
    assert "a concurrency of 4 would gain 50 s" in found.gain
    assert "answers twice as fast 50 s" in found.gain
    assert (None, 1.0, 2.0, 20.0) == (
        found.pace_used,
        found.limit_used,
        found.in_flight,
        found.ready,
    )


@pytest.mark.parametrize(
    ("info", "rate_per_s", "seconds", "words"),
    [
        (job(), 1.0, None, "nothing is left"),
        (job(status=JobState.RUNNING), 1.0, None, "nothing is left"),
        (job(status=JobState.PAUSED, pending=3), 1.0, None, "paused"),
        (job(status=JobState.RUNNING, pending=20), 4.0, 10.0, "20 tasks known now, 500 ms apart"),
        (job(status=JobState.RUNNING, pending=20), 1.0, 20.0, "rate of 1.00 a second"),
        (
            job(status=JobState.RUNNING, pending=20, workers_alive=0),
            1.0,
            None,
            "no process that knows handler warm works",
        ),
        (
            job(status=JobState.RUNNING, pending=20, gap_ms=0),
            None,
            None,
            "nothing has been settled",
        ),
        (
            job(
                status=JobState.RUNNING,
                pending=4,
                waiting_reason=WaitingReason.DOMAIN_BLOCKED,
                next_start_in_ms=3_000.0,
            ),
            1.0,
            5.0,
            "after a wait of 3 s",
        ),
    ],
    ids=["final", "no tasks", "paused", "pace", "rate", "no worker", "unknown", "blocked"],
)
def test_the_time_still_needed_says_what_it_rests_on(
    info: JobInfo, rate_per_s: float | None, seconds: float | None, words: str
) -> None:
    """The pace is the floor, a slower rate counts, a wait of all comes first."""
    found = estimate(info, rate_per_s)
    assert seconds == found.seconds
    assert words in found.basis


def test_thresholds_hold_or_fail_by_their_figures() -> None:
    """Each comparison; a condition that is met fails the build."""
    report = build(full_facts())
    text = "broken>1, broken>2,broken>=2,broken<2,broken<=1,broken=2,broken!=2, warm_share<0.9"
    assert [True, False, True, False, False, True, False, True] == [
        verdict.is_failed for verdict in check(report, parse(text))
    ]


def test_a_figure_that_is_not_known_fails() -> None:
    """A build must not pass because nothing was measured."""
    report = build(facts_of(sums=Sums(attempts=3, pages=3)))
    (verdict,) = check(report, parse("warm_share<0.5"))
    assert verdict.is_failed
    assert "warm_share<0.5: warm_share is not known" == str(verdict)


@pytest.mark.parametrize("options", [{"links": False}, {"record_links": False}, {"sitemap": False}])
def test_what_was_not_compared_is_not_known(options: dict[str, Any]) -> None:
    """Without the links, or without a sitemap, no page is in one and not in the other."""
    report = build(facts_of(job(options=options), sums=Sums(attempts=3, pages=3)))
    verdicts = check(report, parse("unlinked>0,unlisted>0,broken>0"))
    assert [True, True, False] == [verdict.is_failed for verdict in verdicts]


def test_before_the_first_result_every_condition_fails() -> None:
    """Nothing has run yet, or its results are gone: zero broken pages mean nothing."""
    verdicts = check(build(facts_of()), parse("broken>0,pages<0"))
    assert ["broken>0: broken is not known", "pages<0: pages is not known"] == list(
        map(str, verdicts)
    )


def test_large_figures_are_shown_to_the_last_digit() -> None:
    """A limit of bytes, and what was received."""
    report = build(facts_of(sums=Sums(attempts=1, bytes=123_456_789)))
    (verdict,) = check(report, parse("bytes>100000001"))
    assert "bytes>100000001: bytes is 123456789" == str(verdict)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("broken", "write it like broken>0"),
        ("broken>", "write it like"),
        ("broken>1e9999", "write it like"),
        ("", "write it like"),
        ("broken>0,,", "write it like"),
        ("borken>0", "the figures are pages, ok, broken"),
    ],
)
def test_what_is_no_threshold_is_refused(text: str, sentence: str) -> None:
    """With the way to write it, or the names that there are."""
    with pytest.raises(ConfigInvalid, match=r"can't be read|there is no figure") as refused:
        parse(text)
    assert sentence in str(refused.value)


def test_every_figure_has_words_and_a_value() -> None:
    """What thresholds may name stands in every report."""
    assert set(FIGURES) == set(FIGURE_WORDS) == set(build(full_facts()).figures)
    assert None not in build(full_facts()).figures.values()


def test_politeness_is_broken_by_either_kind_of_early_request() -> None:
    """Closer than the gap, or within a pause that the site asked for."""
    facts = full_facts()
    assert build(facts).politeness.is_kept
    for broken in ({"too_close": 1}, {"departed_within": 1}, {"handovers_too_close": 1}):
        report = build(replace(facts, pace=replace(facts.pace, **broken)))
        assert not report.politeness.is_kept


def test_notes_say_what_is_not_known() -> None:
    """Of live and cancelled jobs, and of those that kept no links or read no sitemap."""
    live = build(facts_of(job(status=JobState.RUNNING, finished_at=None, pending=3)))
    assert "not at its end" in live.notes[0]
    assert live.eta is not None
    cancelled = build(facts_of(job(status=JobState.CANCELLED, options={"sitemap": False})))
    text = " ".join(cancelled.notes)
    assert "cancelled" in text
    assert "nothing has run yet" in text
    assert "no sitemap" in text
    assert cancelled.eta is None
    quiet = build(facts_of(job(options={"record_links": False}), sums=Sums(attempts=1)))
    assert "record_links" in quiet.notes[0]
