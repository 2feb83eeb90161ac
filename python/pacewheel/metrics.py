"""Every metric, declared once, with its meaning, unit and bounded labels.

Owns the registry of one engine: services count here, the daemon's `/metrics` and the tests read it.
Metrics hold no truth; a process that restarts starts from zero, as Prometheus expects. A label
takes its values from a closed set, never from data, so the number of series is bounded.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from pacewheel.model import COUNTERS, OrphanKind


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

    def _count_wake_ups(self) -> None:
        """Timers and hints."""

    def _count_failures(self) -> None:
        """Attempts that failed, breakers, processes that died."""

    def _count_counters(self) -> None:
        """Drift of the jobs' counters."""
        self.jobs_reconciled = Counter(
            "pacewheel_jobs_reconciled",
            "Jobs whose counters were compared with their tasks.",
            registry=self.registry,
        )
        self.drift = Counter(
            "pacewheel_counter_drift",
            "What counters were wrong by when they were repaired; anything but 0 is a defect.",
            ["counter"],
            registry=self.registry,
        )
        self.orphans = Counter(
            "pacewheel_orphans",
            "What was found left behind and seen to; anything but 0 is a defect.",
            ["kind"],
            registry=self.registry,
        )
        for counter in COUNTERS:
            self.drift.labels(counter)
        for kind in OrphanKind:
            self.orphans.labels(kind)

    def _count_priorities(self) -> None:
        """Raises on their way."""

    def _count_cache(self) -> None:
        """The cache of job infos."""

    def _count_pool(self) -> None:
        """Connections to the database."""

    def _count_scaling(self) -> None:
        """Decisions about the number of slots."""

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a series now, 0 while it does not exist.

        `name` is the sample's, with its suffix: `pacewheel_tasks_claimed_total`.
        """
        found = self.registry.get_sample_value(name, labels)
        return 0.0 if found is None else found
