"""Priorities on their way from a finding to the tasks it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge, Histogram

from pacewheel.metrics.counting import counter_by

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

TIERS = ("hot", "warm", "cold")
OUTCOMES = (
    "merged",
    "suppressed_buffer",
    "suppressed_database",
    "written",
    "running",
    "restored",
)
CAUSES = ("mandatory", "soft", "drain", "hard")


class PriorityMetrics:
    """Raises: offered, merged, suppressed, written."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.raises = counter_by(
            "tier",
            TIERS,
            "pacewheel_raises",
            "Raises taken into the debounce buffer, by the tier (hot, warm, cold) of their priority",
            registry,
        )
        self.raise_outcomes = counter_by(
            "outcome",
            OUTCOMES,
            "pacewheel_raise_outcomes",
            "What became of raises: merged, suppressed_buffer or suppressed_database (no-ops),"
            " written, running (left in the outbox), restored (their flush failed)",
            registry,
        )
        self.raise_flushes = counter_by(
            "cause",
            CAUSES,
            "pacewheel_raise_flushes",
            "Statements that wrote raises, by cause: mandatory, soft, drain, hard (write-through)",
            registry,
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
        for tier in TIERS:
            self.raise_age_seconds.labels(tier)
            self.raise_entries.labels(tier)
