"""Connections of the work pool, and the waits for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry


class PoolMetrics:
    """Connections by what they do."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pool_connections = Gauge(
            "pacewheel_pool_connections",
            "Connections of the work pool that are open, by what they do",
            ["state"],
            registry=registry,
        )
        self.pool_limit_connections = Gauge(
            "pacewheel_pool_limit_connections",
            "Connections that the work pool may open now",
            registry=registry,
        )
        self.pool_waiting_requests = Gauge(
            "pacewheel_pool_waiting_requests",
            "Requests that wait for a connection of the work pool",
            registry=registry,
        )
        self.pool_wait_seconds = Histogram(
            "pacewheel_pool_wait_seconds",
            "How long a request waited until it could use a connection",
            buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0),
            registry=registry,
        )
        self.pool_timeouts = Counter(
            "pacewheel_pool_timeouts",
            "Requests that got no connection in time",
            registry=registry,
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
