"""A counter by one label of a closed set, with every series of it there from the start.

Prometheus sees no increase in the first sample of a series: one that came with its first event
would hide that event, and what happens once in a process's life would never be seen at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry


def counter_by(
    label: str, values: Iterable[str], name: str, text: str, registry: CollectorRegistry
) -> Counter:
    """Return a counter whose series, one a value of `label`, are all there and 0."""
    counter = Counter(name, text, [label], registry=registry)
    for value in values:
        counter.labels(value)
    return counter
