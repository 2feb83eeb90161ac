"""Every metric, declared once, with its meaning, unit and bounded labels.

Owns the registry of one engine: services count here, the daemon's `/metrics` and the tests read it.
Metrics hold no truth; a process that restarts starts from zero, as Prometheus expects. A label
takes its values from a closed set, never from data, so the number of series is bounded.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from pacewheel.model import WaitingReason
from pacewheel.waits import Waits


class Metrics:
    """The metrics of one engine, each an attribute."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._count_waiting()
        self._count_wake_ups()
        self._count_failures()
        self._count_counters()
        self._count_priorities()
        self._count_cache()
        self._count_pool()
        self._count_scaling()

    def _count_waiting(self) -> None:
        """How long tasks waited, and why."""
        self.waits = Waits(WaitingReason)
        self.registry.register(self.waits)

    def _count_wake_ups(self) -> None:
        """Timers and hints."""

    def _count_failures(self) -> None:
        """Attempts that failed, breakers, processes that died."""

    def _count_counters(self) -> None:
        """Drift of the jobs' counters."""

    def _count_priorities(self) -> None:
        """Raises on their way."""

    def _count_cache(self) -> None:
        """The cache of job infos."""

    def _count_pool(self) -> None:
        """Connections to the database."""

    def _count_scaling(self) -> None:
        """Decisions about the number of slots."""
        self.scaling_evaluations = Counter(
            "pacewheel_scaling_evaluations",
            "Evaluations of the scaler, by what was decided and why",
            ["decision", "reason"],
            registry=self.registry,
        )
        self.slots = Gauge(
            "pacewheel_slots", "Tasks this process may run at once now", registry=self.registry
        )
        self.slots_busy = Gauge(
            "pacewheel_slots_busy",
            "Most slots in use at once between the last two evaluations",
            registry=self.registry,
        )
        self.slots_min = Gauge(
            "pacewheel_slots_min", "Slots an idle process keeps", registry=self.registry
        )
        self.slots_max = Gauge(
            "pacewheel_slots_max", "Slots the process may have at most", registry=self.registry
        )

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a series now, 0 while it does not exist.

        `name` is the sample's, with its suffix: `pacewheel_tasks_claimed_total`.
        """
        found = self.registry.get_sample_value(name, labels)
        return 0.0 if found is None else found
