"""Which limit bound a job, and what one change would gain: a verdict with its figures.

By utilisation and Little's law, from what the attempts kept; nothing is guessed beyond the
simple model that the job takes as long as its tightest limit: `pace` = requests x gap, `limit` =
time in handlers / concurrency. In this order, the first that fits:

| verdict | when |
| --- | --- |
| `domain_blocked` | pauses that the site asked for took half of the time |
| `retry_backoff` | for half of the time only retries were left, which waited for their time |
| `domain_delay` | four fifths of the requests that the gap permits were made |
| `concurrency_limit` | the mean number in flight was four fifths of the job's limit |
| none | fewer than one task was ready and half of one in flight: it waited for tasks to be added |
| `server_latency` | fewer than one task was ready on average: nothing waited but for answers |
| `database` | from an answer's last byte to its settle took longer than the answer |
| `domain_delay`, `concurrency_limit` | the more used of the two, if it was half used |
| `worker_capacity` | tasks were ready and neither was half used: slots or processes lacked |

Pauses, and the time in which only retries were left, are no part of what the others are judged by.
What it can't see: other jobs of the domain (they use the same gap), which process was slow, and a
pause by hand, which looks like a lack of slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacewheel.report.words import share

if TYPE_CHECKING:
    from pacewheel.model import JobInfo
    from pacewheel.report.facts import Flow, Pace

# Fewer attempts say nothing of a steady state.
ATTEMPTS_MIN = 5
USED_UP = 0.8
# A short job spends its first seconds on robots.txt and the first pages, one after another.
HALF_USED = 0.5
BLOCKED_SHARE = 0.5
RETRYING_SHARE = 0.5
# The settle is a round trip and a commit; below this it can't be what a job waits for.
OWN_MIN_MS = 50.0


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What bound the job (None: too little, or nothing did), the figures for it, what would help.

    `pace_used` and `limit_used` are shares of what the gap and the concurrency permit; `ready` is
    the mean number of tasks that waited to start, `in_flight` of those that ran.
    """

    verdict: str | None
    basis: str
    gain: str
    pace_used: float | None = None
    limit_used: float | None = None
    in_flight: float | None = None
    ready: float | None = None


def judge(job: JobInfo, flow: Flow, pace: Pace) -> Bottleneck:
    """Return the verdict on a job."""
    if flow.attempts < ATTEMPTS_MIN or flow.window_ms <= 0:
        basis = f"{flow.attempts} attempts are too few: {ATTEMPTS_MIN} are needed"
        return Bottleneck(None, basis, "")
    # A pause may be why a retry waited: it counts as a pause.
    retrying_ms = max(0.0, flow.retrying_ms - pace.paused_ms)
    open_ms = max(1.0, flow.window_ms - pace.paused_ms - retrying_ms)
    figures = _Figures(
        job,
        flow,
        pace,
        retrying_ms,
        pace_used=budget_used(pace, retrying_ms),
        in_flight=flow.busy_ms / open_ms,
        ready=flow.waited_ms / flow.window_ms,
    )
    verdict, basis, gain = _verdict(figures)
    return Bottleneck(
        verdict,
        basis,
        gain,
        figures.pace_used,
        min(1.0, figures.in_flight / job.concurrency),
        figures.in_flight,
        figures.ready,
    )


def budget_used(pace: Pace, idle_ms: float = 0.0) -> float | None:
    """Return which share of the requests that the gaps permit was made; None without gaps.

    Over the times between departures that a gap was kept in, less the pauses the site asked for and
    `idle_ms`.
    """
    spent_ms = pace.seen_sum_ms - pace.paused_ms - idle_ms
    if pace.permitted_sum_ms <= 0 or spent_ms <= 0:
        return None
    return min(1.0, pace.permitted_sum_ms / spent_ms)


@dataclass(frozen=True, slots=True)
class _Figures:
    job: JobInfo
    flow: Flow
    pace: Pace
    retrying_ms: float
    pace_used: float | None
    in_flight: float
    ready: float

    @property
    def mean_ms(self) -> float:
        """What a handler took on average."""
        return self.flow.busy_ms / self.flow.attempts

    def predicted_s(self, *, gap: float = 1.0, limit: float = 1.0, answer: float = 1.0) -> float:
        """Seconds by the model, with gap, limit or answers' time so many times as large."""
        pace_ms = self.pace.permitted_sum_ms * gap
        handlers_ms = self.flow.busy_ms - self.flow.answer_ms * (1 - answer)
        limit_ms = handlers_ms / (self.job.concurrency * limit)
        return (max(pace_ms, limit_ms) + self.pace.paused_ms + self.retrying_ms) / 1000

    def gained_s(self, **change: float) -> float:
        """Seconds that a change gains, by the model, of those the job took."""
        return max(0.0, self.predicted_s() - self.predicted_s(**change))


def _verdict(f: _Figures) -> tuple[str | None, str, str]:
    flow, pace = f.flow, f.pace
    if pace.paused_ms >= BLOCKED_SHARE * flow.window_ms:
        paused = share(pace.paused_ms / flow.window_ms)
        basis = f"{paused} of the time the site had asked for no request ({pace.pauses} pauses)"
        return "domain_blocked", basis, "a longer delay may be refused less often; ask the site"
    if f.retrying_ms >= RETRYING_SHARE * flow.window_ms:
        basis = f"for {_seconds(f.retrying_ms / 1000)} only retries of what had failed were left"
        gain = f"fewer attempts, or a shorter backoff, would gain up to {_seconds(f.retrying_ms / 1000)}"
        return "retry_backoff", basis, gain
    pace_used, limit_used = f.pace_used or 0.0, f.in_flight / f.job.concurrency
    if pace_used >= USED_UP:
        return _delay_words(f)
    if limit_used >= USED_UP:
        return _limit_words(f)
    if f.ready < 1:
        return _latency_words(f)
    own_ms = flow.own_ms or 0.0
    job = f.job
    used = f"{f.in_flight:.1f} of {job.concurrency} in flight" + (
        "" if f.pace_used is None else f", {share(f.pace_used)} of the pace used"
    )
    rest_s = max(0.0, flow.window_ms / 1000 - f.predicted_s())
    if own_ms >= max(OWN_MIN_MS, flow.answer_ms / flow.attempts):
        basis = f"from an answer's end to its settle {own_ms:.0f} ms on average ({used})"
        gain = f"a database, or a processor, that keeps up would gain up to {_seconds(rest_s)}"
        return "database", basis, gain
    if max(pace_used, limit_used) >= HALF_USED:
        return _delay_words(f) if pace_used >= limit_used else _limit_words(f)
    basis = f"{f.ready:.0f} tasks were ready on average, but {used}"
    return "worker_capacity", basis, f"more slots or processes would gain up to {_seconds(rest_s)}"


def _delay_words(f: _Figures) -> tuple[str, str, str]:
    pace = f.pace
    gap = f"{pace.least_gap_ms} ms"
    if pace.most_gap_ms != pace.least_gap_ms:
        gap = f"{pace.least_gap_ms} to {pace.most_gap_ms} ms"
    basis = f"{share(f.pace_used)} of the requests that the gap of {gap} permits were made"
    words = f"half the gap would gain {_seconds(f.gained_s(gap=0.5))}"
    needed = f.mean_ms / max(1.0, (pace.least_gap_ms or 1) / 2)
    if needed > f.job.concurrency:
        words += (
            f", and with a concurrency of {needed:.0f} {_seconds(f.gained_s(gap=0.5, limit=1e9))}"
        )
    return "domain_delay", basis, f"{words}, if the site permits it"


def _limit_words(f: _Figures) -> tuple[str, str, str]:
    basis = (
        f"{f.in_flight:.1f} of {f.job.concurrency} requests in flight on average, "
        f"{f.mean_ms:.0f} ms each (Little's law)"
    )
    by_limit, by_answer = f.gained_s(limit=2.0), f.gained_s(answer=0.5)
    gain = (
        f"a concurrency of {2 * f.job.concurrency} would gain {_seconds(by_limit)}, if the site "
        f"bears it; answers twice as fast {_seconds(by_answer)}"
    )
    return "concurrency_limit", basis, gain


def _latency_words(f: _Figures) -> tuple[str | None, str, str]:
    flow = f.flow
    if f.in_flight < HALF_USED:
        basis = f"{f.ready:.1f} tasks were ready and {f.in_flight:.1f} in flight on average"
        return None, f"{basis}: it waited for tasks to be added", ""
    basis = (
        f"{f.ready:.1f} tasks were ready on average: nothing waited but for answers, "
        f"{flow.answer_ms / flow.attempts:.0f} ms each"
    )
    gain = f"answers twice as fast would gain up to {_seconds(min(flow.window_ms, flow.answer_ms) / 2000)}"
    return "server_latency", basis, f"{gain}; tasks known sooner, by a sitemap say, start sooner"


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"
