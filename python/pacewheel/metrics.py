"""Every metric, declared once, with its meaning, unit and bounded labels.

Owns the registry of one engine: services count here, the daemon's `/metrics` and the tests read it.
Metrics hold no truth; a process that restarts starts from zero, as Prometheus expects. A label
takes its values from a closed set, never from data, so the number of series is bounded.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry


class Metrics:
    """The metrics of one engine, each an attribute."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a series now, 0 while it does not exist.

        `name` is the sample's, with its suffix: `pacewheel_tasks_claimed_total`.
        """
        found = self.registry.get_sample_value(name, labels)
        return 0.0 if found is None else found
