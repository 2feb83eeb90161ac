"""Decisions about the number of slots, and the last of them."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import Counter, Gauge

from pacewheel.scaling import ScaleDecision, ScaleReason

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from pacewheel.scaling import Scaling

KEPT_MAX = 50


class ScalingNote(NamedTuple):
    """An evaluation that said something new: when, what, why, and the slots before and after."""

    at: datetime
    decision: ScaleDecision
    reason: ScaleReason
    slots_before: int
    slots_after: int


class ScalingMetrics:
    """Slots and the evaluations that set them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.scaling_notes: deque[ScalingNote] = deque(maxlen=KEPT_MAX)
        """The last evaluations, oldest first; of equal ones in a row without a change only the first."""
        self.scaling_evaluations = Counter(
            "pacewheel_scaling_evaluations",
            "Evaluations of the scaler, by what was decided and why",
            ["decision", "reason"],
            registry=registry,
        )
        for decision, reason in product(ScaleDecision, ScaleReason):
            self.scaling_evaluations.labels(decision, reason)
        self.slots = Gauge(
            "pacewheel_slots", "Tasks this process may run at once now", registry=registry
        )
        self.slots_busy = Gauge(
            "pacewheel_slots_busy",
            "Most slots in use at once between the last two evaluations",
            registry=registry,
        )
        self.slots_min = Gauge(
            "pacewheel_slots_min", "Slots an idle process keeps", registry=registry
        )
        self.slots_max = Gauge(
            "pacewheel_slots_max", "Slots the process may have at most", registry=registry
        )

    def note_scaling(self, scaling: Scaling, slots_before: int) -> None:
        """Count an evaluation, and keep it if it says something new."""
        decision, reason, slots = scaling.decision, scaling.reason, scaling.target
        self.scaling_evaluations.labels(decision, reason).inc()
        self.slots.set(slots)
        last = self.scaling_notes[-1] if self.scaling_notes else None
        if slots != slots_before or last is None or last[1:3] != (decision, reason):
            note = ScalingNote(datetime.now(UTC), decision, reason, slots_before, slots)
            self.scaling_notes.append(note)
