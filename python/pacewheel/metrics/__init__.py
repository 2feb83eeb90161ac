"""Every metric, declared once, with its meaning, unit and bounded labels.

Owns the registry of one engine: services count here, the daemon's `/metrics` and the tests read it.
A module here is a theme. Metrics hold no truth; a process that restarts starts from zero, as
Prometheus expects. A label takes its values from a closed set, never from data, so the number of
series is bounded; of jobs only the busiest have series (`hot_jobs`).

Every process is scraped at its own port. Its own figures add up: dashboards take the sum. What is
read from the database (`figures`: `pacewheel_jobs_active`, `pacewheel_jobs_stuck`,
`pacewheel_workers_alive`, `pacewheel_tasks`, `pacewheel_tasks_waiting`, `pacewheel_database_*`) is
the same in every process, and what the kernel counts (`pacewheel_machine_*`,
`pacewheel_network_*`) the same in every process of a machine: there they take the maximum. The
processes of one database are one scrape job, so that those of another don't mix with them.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from pacewheel.metrics.cache import CacheMetrics
from pacewheel.metrics.domains import DomainMetrics
from pacewheel.metrics.figures import FigureMetrics
from pacewheel.metrics.health import HealthMetrics
from pacewheel.metrics.pool import PoolMetrics
from pacewheel.metrics.priorities import PriorityMetrics
from pacewheel.metrics.process import ProcessMetrics
from pacewheel.metrics.retention import RetentionMetrics
from pacewheel.metrics.scaling import ScalingMetrics
from pacewheel.metrics.tasks import TaskMetrics
from pacewheel.metrics.transactions import TransactionMetrics
from pacewheel.metrics.wake_ups import WakeUpMetrics

__all__ = ["Metrics"]


class Metrics(
    TaskMetrics,
    DomainMetrics,
    WakeUpMetrics,
    ScalingMetrics,
    PriorityMetrics,
    CacheMetrics,
    TransactionMetrics,
    PoolMetrics,
    FigureMetrics,
    HealthMetrics,
    RetentionMetrics,
    ProcessMetrics,
):
    """The metrics of one engine, each an attribute; the themes are its bases."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for theme in type(self).__bases__:
            theme.__init__(self, self.registry)  # type: ignore[misc] # each base takes the registry

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a series now, 0 while it does not exist.

        `name` is the sample's, with its suffix: `pacewheel_attempts_total`.
        """
        found = self.registry.get_sample_value(name, labels)
        return 0.0 if found is None else found
