"""Timers and hints: what makes work start without anybody asking for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from pacewheel.metrics.counting import counter_by

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

HINT_VERBS = tuple(
    "enqueued raised released due paced changed cancelled stopped scheduled all".split()
)


class WakeUpMetrics:
    """Timers and hints."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.timers = Gauge(
            "pacewheel_timers",
            "Timers set, by kind: a domain's next slot, a domain's next waiting task",
            ["kind"],
            registry=registry,
        )
        self.timers_refused = Counter(
            "pacewheel_timers_refused",
            "Timers not set and left to the sweep: beyond the horizon, or the wheel full",
            ["kind", "reason"],
            registry=registry,
        )
        for kind in ("slot", "ready"):
            for reason in ("horizon", "full"):
                self.timers_refused.labels(kind, reason)
        self.wake_up_lag = Histogram(
            "pacewheel_wake_up_lag_seconds",
            "From the time at which a domain's next waiting task was ready to its commit as pending",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
            registry=registry,
        )
        self.tasks_woken = Counter(
            "pacewheel_tasks_woken",
            "Waiting tasks made pending",
            registry=registry,
        )
        self.sweeps = Counter(
            "pacewheel_sweeps",
            "Looks at everything, for what timers and hints have missed",
            registry=registry,
        )
        self.hints_sent = counter_by(
            "verb",
            HINT_VERBS,
            "pacewheel_hints_sent",
            "Hints sent, by verb; those of ten milliseconds go together",
            registry,
        )
        self.hints_lost = counter_by(
            "verb",
            HINT_VERBS,
            "pacewheel_hints_lost",
            "Hints that could not be sent, by verb; the sweep finds the same",
            registry,
        )
        self.hints_received = counter_by(
            "verb",
            (*HINT_VERBS, "other"),
            "pacewheel_hints_received",
            "Hints heard, by verb",
            registry,
        )
        self.listener_up = Gauge(
            "pacewheel_listener_up",
            "1 while hints arrive: the listening connection has heard its own probe",
            registry=registry,
        )
        self.listener_reconnects = Counter(
            "pacewheel_listener_reconnects",
            "Times the listening connection was tried again",
            registry=registry,
        )
