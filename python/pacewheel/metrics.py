"""Every metric, declared once, with its meaning, unit and bounded labels.

Owns the registry of one engine: services count here, the daemon's `/metrics` and the tests read it.
Metrics hold no truth; a process that restarts starts from zero, as Prometheus expects. A label
takes its values from a closed set, never from data, so the number of series is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pacewheel.counters import COUNTERS, OrphanKind
from pacewheel.model import WaitingReason
from pacewheel.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import Metric


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
        self._count_schedules()
        self._count_retention()

    def _count_waiting(self) -> None:
        """How long tasks waited, and why."""
        self.waits = Waits(WaitingReason)
        self.registry.register(self.waits)

    def _count_wake_ups(self) -> None:
        """Timers and hints."""
        self.timers = Gauge(
            "pacewheel_timers",
            "Timers set, by kind: a domain's next slot, a domain's next waiting task",
            ["kind"],
            registry=self.registry,
        )
        self.timers_refused = Counter(
            "pacewheel_timers_refused",
            "Timers not set and left to the sweep: beyond the horizon, or the wheel full",
            ["kind", "reason"],
            registry=self.registry,
        )
        self.wake_up_lag = Histogram(
            "pacewheel_wake_up_lag_seconds",
            "From the time at which a domain's next waiting task was ready to its commit as pending",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
            registry=self.registry,
        )
        self.tasks_woken = Counter(
            "pacewheel_tasks_woken",
            "Waiting tasks made pending",
            registry=self.registry,
        )
        self.sweeps = Counter(
            "pacewheel_sweeps",
            "Looks at everything, for what timers and hints have missed",
            registry=self.registry,
        )
        self.hints_sent = Counter(
            "pacewheel_hints_sent",
            "Hints sent, by verb; those of ten milliseconds go together",
            ["verb"],
            registry=self.registry,
        )
        self.hints_lost = Counter(
            "pacewheel_hints_lost",
            "Hints that could not be sent, by verb; the sweep finds the same",
            ["verb"],
            registry=self.registry,
        )
        self.hints_received = Counter(
            "pacewheel_hints_received",
            "Hints heard, by verb",
            ["verb"],
            registry=self.registry,
        )
        self.listener_up = Gauge(
            "pacewheel_listener_up",
            "1 while hints arrive: the listening connection has heard its own probe",
            registry=self.registry,
        )
        self.listener_reconnects = Counter(
            "pacewheel_listener_reconnects",
            "Times the listening connection was tried again",
            registry=self.registry,
        )

    def _count_failures(self) -> None:
        """Attempts that failed, breakers, processes that died."""
        self.attempts = Counter(
            "pacewheel_attempts",
            "Attempts that ended, by what became of the task",
            ["outcome"],
            registry=self.registry,
        )
        self.pace_changes = Counter(
            "pacewheel_pace_changes",
            "Changes of a domain's adaptive delay",
            ["direction"],
            registry=self.registry,
        )
        self.breaker_openings = Counter(
            "pacewheel_breaker_openings",
            "Pauses of a domain because its circuit opened, or stayed open after a probe",
            registry=self.registry,
        )
        self.workers_declared_dead = Counter(
            "pacewheel_workers_declared_dead",
            "Processes that this one declared dead, their lease having run out",
            registry=self.registry,
        )
        self.tasks_recovered = Counter(
            "pacewheel_tasks_recovered",
            "Tasks that a dead process left running, taken over with the attempt counted",
            registry=self.registry,
        )
        self.settle_retries = Counter(
            "pacewheel_settle_retries",
            "Batches of outcomes that had to wait for the database",
            registry=self.registry,
        )
        self.service_crashes = Counter(
            "pacewheel_service_crashes",
            "Times a service's loop failed and was started again; anything but 0 is a defect",
            ["service"],
            registry=self.registry,
        )
        self.database_errors = Counter(
            "pacewheel_database_errors",
            "Statements and connections that failed, by SQLSTATE class",
            ["sqlstate_class"],
            registry=self.registry,
        )

    def _count_counters(self) -> None:
        """Drift of the jobs' counters."""
        self.jobs_reconciled = Counter(
            "pacewheel_jobs_reconciled",
            "Jobs whose counters were compared with their tasks",
            registry=self.registry,
        )
        self.drift = Counter(
            "pacewheel_counter_drift",
            "What counters were wrong by when they were repaired; anything but 0 is a defect",
            ["counter"],
            registry=self.registry,
        )
        self.orphans = Counter(
            "pacewheel_orphans",
            "What was found left behind and seen to; anything but 0 is a defect",
            ["kind"],
            registry=self.registry,
        )
        for counter in COUNTERS:
            self.drift.labels(counter)
        for kind in OrphanKind:
            self.orphans.labels(kind)

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

    def _count_schedules(self) -> None:
        """Occurrences of schedules."""
        self.occurrences = Counter(
            "pacewheel_schedule_occurrences",
            "Occurrences of schedules that this process saw to: fired, skipped, or refused (paused)",
            ["outcome"],
            registry=self.registry,
        )

    def _count_retention(self) -> None:
        """What was removed because it is old."""
        self.rows_pruned = Counter(
            "pacewheel_pruned_rows",
            "Rows removed by retention, by table",
            ["table"],
            registry=self.registry,
        )
        self.partitions_dropped = Counter(
            "pacewheel_dropped_partitions",
            "Daily partitions of results dropped by retention",
            registry=self.registry,
        )
        self.prune_ended = Gauge(
            "pacewheel_prune_last_run_timestamp_seconds",
            "When a run of retention last ended in this process; 0: it had none, one process at a time has",
            registry=self.registry,
        )

    def _count_cache(self) -> None:
        """The cache of job infos."""
        self.job_cache = JobCacheCollector()
        """Reads the flight table's own counters at each scrape, so a hit costs no Python."""
        self.registry.register(self.job_cache)
        self.job_cache_invalidations = Counter(
            "pacewheel_job_cache_invalidations",
            "Jobs forgotten by the cache, or all of them at once, by reason",
            ["reason"],
            registry=self.registry,
        )
        self.job_cache_load_seconds = Histogram(
            "pacewheel_job_cache_load_seconds",
            "Time of one load of the cache of jobs, whatever came of it",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10),
            registry=self.registry,
        )

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
        self.pool_timeouts = Counter(
            "pacewheel_pool_timeouts",
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

        `name` is the sample's, with its suffix: `pacewheel_attempts_total`.
        """
        found = self.registry.get_sample_value(name, labels)
        return 0.0 if found is None else found


class JobCacheCollector(Collector):
    """The counters that the cache of jobs keeps in Rust, as metrics.

    `read` returns them; none are shown before there is a cache.
    """

    COUNTERS = (
        ("hits", "Questions answered by a fresh value"),
        ("stale_hits", "Questions answered by a value past its time"),
        ("joins", "Questions that joined a load under way"),
        ("evictions", "Jobs dropped for space"),
    )
    BY_LABEL = (
        (
            "misses",
            "Questions that led a load, by what had become of the value",
            "reason",
            ("absent", "expired", "invalidated", "evicted"),
        ),
        (
            "loads",
            "Loads by result; superseded: not stored, as the job was invalidated meanwhile",
            "result",
            ("ok", "absent", "error", "timeout", "superseded"),
        ),
    )
    GAUGES = (
        ("entries", "Jobs that have a place in the cache"),
        ("in_flight", "Jobs being loaded"),
    )

    def __init__(self) -> None:
        self.read: Callable[[], Mapping[str, int]] | None = None

    def collect(self) -> Iterator[Metric]:
        """Return all of them as they are now."""
        if self.read is None:
            return
        stats = self.read()
        for name, text in self.COUNTERS:
            yield CounterMetricFamily(f"pacewheel_job_cache_{name}", text, value=stats[name])
        for name, text, label, values in self.BY_LABEL:
            family = CounterMetricFamily(f"pacewheel_job_cache_{name}", text, labels=[label])
            for value in values:
                family.add_metric([value], stats[f"{name}_{value}"])
            yield family
        for name, text in self.GAUGES:
            yield GaugeMetricFamily(f"pacewheel_job_cache_{name}", text, value=stats[name])
