"""Priorities on their way from a finding to the tasks it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class PriorityMetrics:
    """Raises: offered, merged, suppressed, written."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.raises = Counter(
            "pacewheel_raises",
            "Raises taken into the debounce buffer, by the tier (hot, warm, cold) of their priority",
            ["tier"],
            registry=registry,
        )
        self.raise_outcomes = Counter(
            "pacewheel_raise_outcomes",
            "What became of raises: merged, suppressed_buffer or suppressed_database (no-ops),"
            " written, running (left in the outbox), restored (their flush failed)",
            ["outcome"],
            registry=registry,
        )
        self.raise_flushes = Counter(
            "pacewheel_raise_flushes",
            "Statements that wrote raises, by cause: mandatory, soft, drain, hard (write-through)",
            ["cause"],
            registry=registry,
        )
        self.raise_age_seconds = Histogram(
            "pacewheel_raise_age_seconds",
            "How long the oldest raise of a tier had waited in a flush",
            ["tier"],
            buckets=(0.005, 0.05, 0.5, 2.5, 5, 7.5, 10, 15, 30, 45, 60, 75, 120, 300),
            registry=registry,
        )
        self.raise_entries = Gauge(
            "pacewheel_raise_entries",
            "Tasks in the debounce buffer, by tier",
            ["tier"],
            registry=registry,
        )
