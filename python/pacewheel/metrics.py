"""Every metric, declared once, with its meaning, unit and bounded labels.

Owns the registry of one engine: services count here, the daemon's `/metrics` and the tests read it.
Metrics hold no truth; a process that restarts starts from zero, as Prometheus expects. A label
takes its values from a closed set, never from data, so the number of series is bounded.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


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

    def _count_priorities(self) -> None:
        """Raises on their way."""
        self.raises = Counter(
            "pacewheel_raises",
            "Raises taken into the debounce buffer, by the tier (hot, warm, cold) of their priority",
            ["tier"],
            registry=self.registry,
        )
        self.raise_outcomes = Counter(
            "pacewheel_raise_outcomes",
            "What became of raises: merged, suppressed_buffer or suppressed_database (no-ops),"
            " written, running (left in the outbox), restored (their flush failed)",
            ["outcome"],
            registry=self.registry,
        )
        self.raise_flushes = Counter(
            "pacewheel_raise_flushes",
            "Statements that wrote raises, by cause: mandatory, soft, drain, hard (write-through)",
            ["cause"],
            registry=self.registry,
        )
        self.raise_age_seconds = Histogram(
            "pacewheel_raise_age_seconds",
            "How long the oldest raise of a tier had waited in a flush",
            ["tier"],
            buckets=(0.005, 0.05, 0.5, 2.5, 5, 7.5, 10, 15, 30, 45, 60, 75, 120, 300),
            registry=self.registry,
        )
        self.raise_entries = Gauge(
            "pacewheel_raise_entries",
            "Tasks in the debounce buffer, by tier",
            ["tier"],
            registry=self.registry,
        )

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
