"""Every metric, declared once, with its meaning, unit and bounded labels.

Owns the registry of one engine: services count here, the daemon's `/metrics` and the tests read it.
Metrics hold no truth; a process that restarts starts from zero, as Prometheus expects. A label
takes its values from a closed set, never from data, so the number of series is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable


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

    def _count_cache(self) -> None:
        """The cache of job infos."""

    def _count_pool(self) -> None:
        """Connections to the database: those of the work pool, and the waits for one."""
        self.pool_connections = Gauge(
            "pacewheel_pool_connections",
            "Connections of the work pool that are open, by what they do",
            ["state"],
            registry=self.registry,
        )
        self.pool_limit_connections = Gauge(
            "pacewheel_pool_limit_connections",
            "Connections that the work pool may open now",
            registry=self.registry,
        )
        self.pool_waiting_requests = Gauge(
            "pacewheel_pool_waiting_requests",
            "Requests that wait for a connection of the work pool",
            registry=self.registry,
        )
        self.pool_wait_seconds = Histogram(
            "pacewheel_pool_wait_seconds",
            "How long a request waited until it could use a connection",
            buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0),
            registry=self.registry,
        )
        self.pool_timeouts_total = Counter(
            "pacewheel_pool_timeouts_total",
            "Requests that got no connection in time",
            registry=self.registry,
        )

    def watch_pool(
        self,
        *,
        busy: Callable[[], int],
        idle: Callable[[], int],
        waiting: Callable[[], int],
        limit: Callable[[], int],
    ) -> None:
        """Read the pool's gauges from it at each scrape."""
        self.pool_connections.labels("busy").set_function(busy)
        self.pool_connections.labels("idle").set_function(idle)
        self.pool_waiting_requests.set_function(waiting)
        self.pool_limit_connections.set_function(limit)

    def _count_scaling(self) -> None:
        """Decisions about the number of slots."""

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a series now, 0 while it does not exist.

        `name` is the sample's, with its suffix: `pacewheel_tasks_claimed_total`.
        """
        found = self.registry.get_sample_value(name, labels)
        return 0.0 if found is None else found
