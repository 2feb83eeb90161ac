"""A histogram by one label that counts in plain lists, and the quantiles of one.

Tens of thousands of waits and of handlers' ends a second go through it, so it takes whole batches
and makes its series when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class LabelledHistogram(Collector):
    """Durations in buckets, a series a value of `label`; those of `values` are there from the start."""

    def __init__(
        self,
        name: str,
        text: str,
        label: str,
        *,
        bounds_s: Sequence[float],
        values: Iterable[str] = (),
    ) -> None:
        self._name = name
        self._text = text
        self._label = label
        self.bounds_s = tuple(map(float, bounds_s))
        self._bounds_ms = [bound_s * 1000 for bound_s in self.bounds_s]
        self._counts: dict[str, list[int]] = {}
        self._sums_s: dict[str, float] = {}
        for value in values:
            self._add(value)

    def _add(self, value: str) -> list[int]:
        self._sums_s[value] = 0.0
        self._counts[value] = counts = [0] * (len(self.bounds_s) + 1)
        return counts

    def observe(self, value: str, duration_s: float) -> None:
        """Count one duration, in seconds."""
        counts = self._counts.get(value) or self._add(value)
        counts[bisect_left(self.bounds_s, duration_s)] += 1
        self._sums_s[value] += duration_s

    def observe_ms(self, value: str, durations_ms: Sequence[float]) -> None:
        """Count durations, in milliseconds."""
        counts, bounds_ms = self._counts.get(value) or self._add(value), self._bounds_ms
        for duration_ms in durations_ms:
            counts[bisect_left(bounds_ms, duration_ms)] += 1
        self._sums_s[value] += sum(durations_ms) / 1000

    def counts(self) -> dict[str, tuple[int, ...]]:
        """Return how many durations fell into each bucket so far, the last one without a bound."""
        return {value: tuple(counts) for value, counts in self._counts.items()}

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram as it is now."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label])
        names = (*map(str, self.bounds_s), "+Inf")
        for value, counts in self._counts.items():
            buckets = list(zip(names, accumulate(counts), strict=True))
            family.add_metric([value], buckets, self._sums_s[value])
        yield family


def quantile(bounds_s: Sequence[float], counts: Sequence[int], share: float) -> float:
    """Return the duration that `share` of those counted stayed below, in seconds; NaN of none.

    Interpolated within its bucket as Prometheus does (`histogram_quantile`): what lies beyond the
    last bound counts as that bound.
    """
    total = sum(counts)
    if not total:
        return float("nan")
    rank = share * total
    below = 0
    for position, bound_s in enumerate(bounds_s):
        here = counts[position]
        if here and below + here >= rank:
            start_s = bounds_s[position - 1] if position else 0.0
            return start_s + (bound_s - start_s) * (rank - below) / here
        below += here
    return bounds_s[-1]
