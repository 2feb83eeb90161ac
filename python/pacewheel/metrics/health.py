"""What tells that something is wrong: sites that refuse, processes that died, drift, orphans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

from pacewheel.counters import COUNTERS, OrphanKind
from pacewheel.metrics.counting import counter_by

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class HealthMetrics:
    """Breakers, deaths, crashes, and what reconciling finds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pace_changes = counter_by(
            "direction",
            ("slower", "faster"),
            "pacewheel_pace_changes",
            "Changes of a domain's adaptive delay",
            registry,
        )
        self.breaker_openings = Counter(
            "pacewheel_breaker_openings",
            "Pauses of a domain because its circuit opened, or stayed open after a probe",
            registry=registry,
        )
        self.workers_declared_dead = Counter(
            "pacewheel_workers_declared_dead",
            "Processes that this one declared dead, their lease having run out",
            registry=registry,
        )
        self.tasks_recovered = Counter(
            "pacewheel_tasks_recovered",
            "Tasks that a dead process left running, taken over with the attempt counted",
            registry=registry,
        )
        self.service_crashes = Counter(
            "pacewheel_service_crashes",
            "Times a service's loop failed and was started again; anything but 0 is a defect",
            ["service"],
            registry=registry,
        )
        self.jobs_reconciled = Counter(
            "pacewheel_jobs_reconciled",
            "Jobs whose counters were compared with their tasks",
            registry=registry,
        )
        self.drift = counter_by(
            "counter",
            COUNTERS,
            "pacewheel_drift",
            "What jobs' counters were wrong by when they were repaired; anything but 0 is a defect",
            registry,
        )
        self.orphans = counter_by(
            "kind",
            OrphanKind,
            "pacewheel_orphans",
            "What was found left behind and seen to; anything but 0 is a defect",
            registry,
        )
