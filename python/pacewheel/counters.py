"""The nouns of reconciling: the counters of a job, their drift, and what may be left behind. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

COUNTERS = (
    "total",
    "pending",
    "waiting",
    "backoff",
    "completed",
    "failed",
    "skipped",
    "cancelled",
)
"""The counters of a job's row, in the order in which SQL compares them with its tasks."""


class OrphanKind(StrEnum):
    """What a crash or a defect may leave behind (the closed set): each is counted when it is found."""

    TASK_OF_FINAL_JOB = "task_of_final_job"
    TASK_WITHOUT_JOB = "task_without_job"
    JOB_NOT_ENDED = "job_not_ended"
    IN_FLIGHT_WITHOUT_OWNER = "in_flight_without_owner"


@dataclass(frozen=True, slots=True)
class Drift:
    """A job whose counters differed from its tasks: kept and found, by counter."""

    job_id: int
    counters: dict[str, tuple[int, int]]


@dataclass(slots=True)
class Reconciled:
    """What reconciling found: jobs compared, drift by job, orphans by kind."""

    jobs: int = 0
    drifts: list[Drift] = field(default_factory=list)
    orphans: dict[OrphanKind, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """True when counters and rows agree and nothing was left behind."""
        return not self.drifts and not any(self.orphans.values())
