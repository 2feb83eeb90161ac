"""What this process remembers of itself: a sample a tick, of the last quarter of an hour.

Owns the ring buffer. Bounded in time and number; lost with the process, as metrics are. Figures of
the database are None in samples that were taken while nobody watched, for then it isn't asked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pacewheel.model import WaitingReason
from pacewheel.web.figures import Rates

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pacewheel.overview import Totals

SERIES = (
    *("pending", "waiting", "running", "jobs_active"),
    *Rates.__dataclass_fields__,
    *("slots", "busy", "transaction_p99_ms", "cache_hit_ratio"),
)
"""The names of all series but `waiting_by_reason`."""
KEPT_S = 900.0
LATELY_S = 10.0
SAMPLES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: what is so now. `totals` are None where the database was not asked."""

    at: datetime
    at_s: float
    slots: int
    busy: int
    rates: Rates
    transaction_p99_ms: float | None
    cache_hit_ratio: float | None
    totals: Totals | None


class History:
    """The samples of the last quarter of an hour."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)

    def add(self, sample: Sample) -> None:
        """Keep a sample, and forget those that are too old."""
        self._samples.append(sample)
        while self._samples[0].at_s < sample.at_s - KEPT_S:
            self._samples.popleft()

    def waiting_lately(self, now: Sample) -> dict[WaitingReason, float]:
        """Return how many tasks waited for each reason on average in the last seconds, up to `now`."""
        found = [now.totals]
        for sample in reversed(self._samples):
            if sample.at_s < now.at_s - LATELY_S:
                break
            found.append(sample.totals)
        counts = [totals.waiting_by_reason for totals in found if totals is not None]
        return {
            reason: sum(each.get(reason, 0) for each in counts) / max(1, len(counts))
            for reason in WaitingReason
        }

    def series(self) -> dict[str, Any]:
        """Return the samples as series side by side, oldest first.

        Their times are by the clock of the last one, so they rise although that clock was set.
        """
        samples = list(self._samples)
        series: dict[str, Any] = {name: [_value(s, name) for s in samples] for name in SERIES}
        series["waiting_by_reason"] = _by_reason(samples)
        at = [samples[-1].at + timedelta(seconds=s.at_s - samples[-1].at_s) for s in samples]
        return {"at": [each.isoformat() for each in at], "series": series}


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
