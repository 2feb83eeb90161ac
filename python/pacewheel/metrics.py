"""Every metric, declared once, with its meaning, unit and bounded labels.

Owns the registry of one engine: services count here, the daemon's `/metrics` and the tests read it.
Metrics hold no truth; a process that restarts starts from zero, as Prometheus expects. A label
takes its values from a closed set, never from data, so the number of series is bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from pacewheel.model import WaitingReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WAIT_BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]
WAIT_BUCKETS_S += [60.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0]
_WAIT_BUCKETS_MS = [bound_s * 1000 for bound_s in WAIT_BUCKETS_S]


class Waits(Collector):
    """`pacewheel_waiting_seconds{reason}`: how long tasks were claimable before they were claimed.

    A histogram that takes whole batches: tens of thousands a second go through it.
    """

    def __init__(self, reasons: Iterable[WaitingReason]) -> None:
        self._counts = {reason: [0] * (len(WAIT_BUCKETS_S) + 1) for reason in reasons}
        self._sums_ms = dict.fromkeys(self._counts, 0.0)

    def observe_ms(self, reason: WaitingReason, waits_ms: Sequence[float]) -> None:
        """Count waits, in milliseconds."""
        counts = self._counts[reason]
        for wait_ms in waits_ms:
            counts[bisect_left(_WAIT_BUCKETS_MS, wait_ms)] += 1
        self._sums_ms[reason] += sum(waits_ms)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram as it is now."""
        family = HistogramMetricFamily(
            "pacewheel_waiting_seconds",
            "Time from the moment a task could have been claimed, or from its retry's decision or"
            " its enqueue, by what held it back",
            labels=["reason"],
        )
        for reason, counts in self._counts.items():
            total = 0
            buckets = []
            for bound, count in zip((*map(str, WAIT_BUCKETS_S), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric([reason.value], buckets, self._sums_ms[reason] / 1000)
        yield family


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
        self.database_errors = Counter(
            "pacewheel_database_errors",
            "Statements and connections that failed, by SQLSTATE class",
            ["sqlstate_class"],
            registry=self.registry,
        )

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

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a series now, 0 while it does not exist.

        `name` is the sample's, with its suffix: `pacewheel_tasks_claimed_total`.
        """
        found = self.registry.get_sample_value(name, labels)
        return 0.0 if found is None else found
