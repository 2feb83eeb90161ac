"""What becomes of tasks: how long they waited and ran, what was claimed and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from pacewheel.metrics.counting import counter_by
from pacewheel.metrics.histogram import LabelledHistogram
from pacewheel.model import WaitingReason

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

WAIT_BOUNDS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
WAIT_BOUNDS_S += [60.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0]
HANDLER_BOUNDS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
OUTCOMES = ("completed", "failed", "skipped", "retry", "interrupted")


class TaskMetrics:
    """Waits, claims, handlers, attempts, the settle queue and schedules."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waits = LabelledHistogram(
            "pacewheel_waiting_seconds",
            "Time from the moment a task could have been claimed, or of a retry's or a schedule's own"
            " delay, by what held it back",
            "reason",
            bounds_s=WAIT_BOUNDS_S,
            values=WaitingReason,
        )
        registry.register(self.waits)
        self.tasks_claimed = Counter(
            "pacewheel_tasks_claimed", "Tasks claimed by this process", registry=registry
        )
        self.handler_seconds = LabelledHistogram(
            "pacewheel_handler_seconds",
            "Time of an attempt in its handler, the wait at its domain's gate included, by handler",
            "handler",
            bounds_s=HANDLER_BOUNDS_S,
        )
        registry.register(self.handler_seconds)
        self.handlers_abandoned = Counter(
            "pacewheel_handlers_abandoned",
            "Handlers that ignored their cancellation, so that their tasks were settled without them",
            ["handler"],
            registry=registry,
        )
        self.handlers_left_running = Gauge(
            "pacewheel_handlers_left_running",
            "Abandoned handlers that have not returned: what runs beside the slots and limits",
            registry=registry,
        )
        self.attempts = counter_by(
            "outcome",
            OUTCOMES,
            "pacewheel_attempts",
            "Attempts that ended, by what became of the task",
            registry,
        )
        self.settle_retries = Counter(
            "pacewheel_settle_retries",
            "Batches of outcomes that had to wait for the database",
            registry=registry,
        )
        self.settle_queue = Gauge(
            "pacewheel_settle_queue_outcomes",
            "Outcomes that wait to be written",
            registry=registry,
        )
        self.settle_queue_max = Gauge(
            "pacewheel_settle_queue_limit_outcomes",
            "Outcomes kept before claiming stops (settle_queue_max)",
            registry=registry,
        )
        self.occurrences = counter_by(
            "outcome",
            ("fired", "skipped_overlap", "refused"),
            "pacewheel_schedule_occurrences",
            "Occurrences of schedules that this process saw to: fired, skipped_overlap (the job before"
            " was live), refused (the schedule is paused)",
            registry,
        )
