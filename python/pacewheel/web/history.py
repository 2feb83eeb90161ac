"""What this process remembers of itself: a sample a tick, of the last quarter of an hour.

Owns the ring buffer. Bounded in time and number; lost with the process, as metrics are. Figures of
the database are None in samples that were taken while nobody watched, for then it isn't asked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pacewheel.web.figures import Rates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pacewheel.overview import Totals

SERIES = (
    *("pending", "waiting", "running", "jobs_active"),
    *Rates.__dataclass_fields__,
    *("slots", "busy", "transaction_p99_ms", "cache_hit_ratio"),
)
"""The names of all series but `waiting_by_reason`."""
KEPT_S = 900.0
SAMPLES_MAX = 1_000
RATE_S = 10.0
# A rate needs a while to be one.
RATE_MIN_S = 0.9


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: what has been counted until then, and what is so now.

    `transaction_counts` are how many transactions fell into each bucket so far, all statements
    together. `attempts` and `enqueued` are the totals', and known only where they were read for
    this very sample; `totals` may be some seconds old.
    """

    at: datetime
    at_s: float
    claimed: float
    completed: float
    failed: float
    retried: float
    raises: float
    cpu_s: float
    received_bytes: float | None
    sent_bytes: float | None
    slots: int
    busy: int
    transaction_counts: tuple[int, ...]
    totals: Totals | None = None
    attempts: int | None = None
    enqueued: int | None = None
    rates: Rates = field(default_factory=Rates)
    transaction_p99_ms: float | None = None
    cache_hit_ratio: float | None = None


class History:
    """The samples of the last quarter of an hour."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)

    @property
    def last(self) -> Sample | None:
        """The newest."""
        return self._samples[-1] if self._samples else None

    def add(self, sample: Sample) -> None:
        """Keep a sample, and forget those that are too old."""
        self._samples.append(sample)
        while self._samples[0].at_s < sample.at_s - KEPT_S:
            self._samples.popleft()

    def rates_until(self, now: Sample) -> Rates:
        """Return the rates up to a sample that is not yet kept."""
        return Rates(
            attempts_per_s=self.rate_until(now, lambda s: s.attempts),
            enqueued_per_s=self.rate_until(now, lambda s: s.enqueued),
            claimed_per_s=self.rate_until(now, lambda s: s.claimed),
            completed_per_s=self.rate_until(now, lambda s: s.completed),
            failed_per_s=self.rate_until(now, lambda s: s.failed),
            retried_per_s=self.rate_until(now, lambda s: s.retried),
        )

    def rate_until(
        self, now: Sample, read: Callable[[Sample], float | None], over_s: float = RATE_S
    ) -> float | None:
        """Return by how much a second a figure has grown within `over_s`, as far as it is known.

        None without two samples that know it. A figure that fell began anew: it has grown by what
        it is now, at the least.
        """
        known: list[tuple[float, float]] = []
        for sample in (now, *reversed(self._samples)):
            if now.at_s - sample.at_s > over_s:
                break
            value = read(sample)
            if value is not None:
                known.append((sample.at_s, value))
        if not known or known[0][0] - known[-1][0] < RATE_MIN_S:
            return None
        (until_s, value), (since_s, before) = known[0], known[-1]
        return round((value - before if value >= before else value) / (until_s - since_s), 3)

    def series(self) -> dict[str, Any]:
        """Return the samples as series side by side, oldest first."""
        samples = list(self._samples)
        series: dict[str, Any] = {name: [_value(s, name) for s in samples] for name in SERIES}
        series["waiting_by_reason"] = _by_reason(samples)
        return {"at": [s.at.isoformat() for s in samples], "series": series}


def _value(sample: Sample, name: str) -> float | None:
    for part in (sample, sample.rates, sample.totals):
        if hasattr(part, name):
            value: float | None = getattr(part, name)
            return value
    return None


def _by_reason(samples: list[Sample]) -> Mapping[str, list[int | None]]:
    reasons = sorted({r for s in samples if s.totals for r in s.totals.waiting_by_reason})
    return {
        reason.value: [
            s.totals.waiting_by_reason.get(reason, 0) if s.totals else None for s in samples
        ]
        for reason in reasons
    }
