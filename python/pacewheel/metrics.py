"""Every metric, declared once, with its meaning, unit and bounded labels.

Owns the registry of one engine: services count here, the daemon's `/metrics` and the tests read it.
Metrics hold no truth; a process that restarts starts from zero, as Prometheus expects. A label
takes its values from a closed set, never from data, so the number of series is bounded.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
        self.timers = Gauge(
            "pacewheel_timers",
            "Timers set, by kind: a domain's next slot, a domain's next waiting task.",
            ["kind"],
            registry=self.registry,
        )
        self.timers_refused = Counter(
            "pacewheel_timers_refused_total",
            "Timers not set and left to the sweep: beyond the horizon, or the wheel full.",
            ["kind", "reason"],
            registry=self.registry,
        )
        self.wake_up_lag = Histogram(
            "pacewheel_wake_up_lag_seconds",
            "From the time at which a domain's next waiting task was ready to its commit as pending.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
            registry=self.registry,
        )
        self.tasks_woken = Counter(
            "pacewheel_tasks_woken_total",
            "Waiting tasks made pending.",
            registry=self.registry,
        )
        self.sweeps = Counter(
            "pacewheel_sweeps_total",
            "Looks at everything, for what timers and hints have missed.",
            registry=self.registry,
        )
        self.hints_sent = Counter(
            "pacewheel_hints_sent_total",
            "Hints sent, by verb; those of ten milliseconds go together.",
            ["verb"],
            registry=self.registry,
        )
        self.hints_lost = Counter(
            "pacewheel_hints_lost_total",
            "Hints that could not be sent, by verb; the sweep finds the same.",
            ["verb"],
            registry=self.registry,
        )
        self.hints_received = Counter(
            "pacewheel_hints_received_total",
            "Hints heard, by verb.",
            ["verb"],
            registry=self.registry,
        )
        self.listener_up = Gauge(
            "pacewheel_listener_up",
            "1 while hints arrive: the listening connection has heard its own probe.",
            registry=self.registry,
        )
        self.listener_reconnects = Counter(
            "pacewheel_listener_reconnects_total",
            "Times the listening connection was tried again.",
            registry=self.registry,
        )

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
