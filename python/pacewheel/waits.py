"""How long tasks waited before they were claimed, by reason: a histogram that takes whole batches.

Tens of thousands of waits a second go through it, so it counts in plain lists and makes its series
when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from pacewheel.model import WaitingReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WAIT_BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
WAIT_BUCKETS_S += [60.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0]
_WAIT_BUCKETS_MS = [bound_s * 1000 for bound_s in WAIT_BUCKETS_S]


class Waits(Collector):
    """`pacewheel_waiting_seconds{reason}`: how long tasks were claimable before they were claimed."""

    def __init__(self, reasons: Iterable[WaitingReason]) -> None:
        self._counts = {reason: [0] * (len(WAIT_BUCKETS_S) + 1) for reason in reasons}
        self._sums_ms = dict.fromkeys(self._counts, 0.0)

    def observe_ms(self, reason: WaitingReason, waits_ms: Sequence[float]) -> None:
        """Count waits, in milliseconds."""
        counts = self._counts[reason]
        for wait_ms in waits_ms:
            counts[bisect_left(_WAIT_BUCKETS_MS, wait_ms)] += 1
        self._sums_ms[reason] += sum(waits_ms)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram as it is now."""
        family = HistogramMetricFamily(
            "pacewheel_waiting_seconds",
            "Time from the moment a task could have been claimed, or from its retry's decision or"
            " its enqueue, by what held it back",
            labels=["reason"],
        )
        for reason, counts in self._counts.items():
            total = 0
            buckets = []
            for bound, count in zip((*map(str, WAIT_BUCKETS_S), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric([reason.value], buckets, self._sums_ms[reason] / 1000)
        yield family
