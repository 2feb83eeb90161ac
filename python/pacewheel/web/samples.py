"""The metrics of this process at one moment, read once for all who ask of it.

Reads them by their published names, as a scrape does, so the dashboard and Prometheus can't differ.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import CollectorRegistry


class Samples:
    """All series at one moment; `at_s` is the caller's monotonic clock."""

    def __init__(self, registry: CollectorRegistry, at_s: float) -> None:
        self.at_s = at_s
        self._found: defaultdict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
        for metric in registry.collect():
            for sample in metric.samples:
                self._found[sample.name].append((sample.labels, sample.value))

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum over the series that have these labels; 0 of none."""
        return sum(value for _, value in self._matching(name, labels))

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Return the sums by the values of a label."""
        sums: defaultdict[str, float] = defaultdict(float)
        for found, value in self._matching(name, labels):
            sums[found[label]] += value
        return dict(sums)

    def named(self, prefix: str) -> dict[str, float]:
        """Return all series whose name begins so, by what follows; labels' values behind colons."""
        return {
            ":".join((name.removeprefix(prefix), *labels.values())): value
            for name, series in self._found.items()
            if name.startswith(prefix) and not name.endswith(("_bucket", "_created"))
            for labels, value in series
        }

    def _matching(
        self, name: str, wanted: Mapping[str, str]
    ) -> Iterator[tuple[Mapping[str, str], float]]:
        for labels, value in self._found.get(name, ()):
            if all(labels.get(key) == each for key, each in wanted.items()):
                yield labels, value
