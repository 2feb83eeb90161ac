"""What was removed because it is old."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from pacewheel.metrics.counting import counter_by

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

TABLES = tuple("jobs tasks results documents link_lists raises domains workers pruned_jobs".split())


class RetentionMetrics:
    """Rows and partitions removed, and when that was last done."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows_pruned = counter_by(
            "table",
            TABLES,
            "pacewheel_pruned_rows",
            "Rows removed by retention, by table",
            registry,
        )
        self.partitions_dropped = Counter(
            "pacewheel_dropped_partitions",
            "Daily partitions of results dropped by retention",
            registry=registry,
        )
        self.prune_ended = Gauge(
            "pacewheel_prune_last_run_timestamp_seconds",
            "When a run of retention last ended in this process; 0: it had none, one process at a time has",
            registry=registry,
        )
