"""A histogram by one label that counts in plain lists, and the quantiles of one.

Tens of thousands of waits and of handlers' ends a second go through it, so it takes whole batches
and makes its series when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class _Series:
    """The durations of one value: how many fell into each bucket, and their sum."""

    __slots__ = ("counts", "sum_s")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum_s = 0.0


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
        # Whole ones as such: whole milliseconds are compared with them in two thirds of the time.
        self._bounds_ms = [
            round(ms) if ms == round(ms) else ms for ms in (s * 1000 for s in bounds_s)
        ]
        self._series: dict[str, _Series] = {}
        for value in values:
            self._add(value)

    def _add(self, value: str) -> _Series:
        self._series[value] = series = _Series(len(self.bounds_s) + 1)
        return series

    def observe(self, value: str, duration_s: float) -> None:
        """Count one duration, in seconds."""
        try:
            series = self._series[value]
        except KeyError:
            series = self._add(value)
        series.counts[bisect_left(self.bounds_s, duration_s)] += 1
        series.sum_s += duration_s

    def observe_ms(self, value: str, durations_ms: Sequence[float]) -> None:
        """Count durations, in milliseconds: of hundreds each costs a third of `observe`."""
        series = self._series.get(value) or self._add(value)
        ordered = sorted(durations_ms)
        below = 0
        for position, bound_ms in enumerate(self._bounds_ms):
            if below == len(ordered):
                break
            reached = bisect_right(ordered, bound_ms, below)
            series.counts[position] += reached - below
            below = reached
        series.counts[-1] += len(ordered) - below
        series.sum_s += sum(ordered) / 1000

    def counts(self) -> dict[str, tuple[int, ...]]:
        """Return how many durations fell into each bucket so far, the last one without a bound."""
        return {value: tuple(series.counts) for value, series in self._series.items()}

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram as it is now."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label])
        names = (*map(str, self.bounds_s), "+Inf")
        for value, series in self._series.items():
            buckets = list(zip(names, accumulate(series.counts), strict=True))
            family.add_metric([value], buckets, series.sum_s)
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
