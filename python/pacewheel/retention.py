"""What is removed when it is old: the times, the counts, and what the pruner needs of the database.

Owns the words of retention. Pure data; a time of None keeps for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pacewheel.config import Config

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Keep:
    """How long each thing is kept, in ms, or None for ever."""

    results_ms: int | None = None
    jobs_ms: int | None = None
    domains_ms: int | None = None
    workers_ms: int | None = None

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the times that the settings ask for."""
        days = (
            config.results_keep_days,
            config.jobs_keep_days,
            config.domains_keep_days,
            config.workers_keep_days,
        )
        return cls(*(round(each * DAY_MS) or None for each in days))


@dataclass(slots=True)
class Pruned:
    """What was removed: partitions of results by name, rows by table.

    `is_whole`: False when a partition could not be dropped without waiting; the next run does it.
    """

    partitions: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    is_whole: bool = True

    def count(self, **rows: int) -> None:
        """Add rows removed, by table."""
        for table, number in rows.items():
            if number:
                self.rows[table] = self.rows.get(table, 0) + number

    @property
    def is_nothing(self) -> bool:
        """True when nothing was removed."""
        return not self.partitions and not self.rows


class JobsPruned(NamedTuple):
    """One batch of finished jobs: where to go on, and how many jobs that removed."""

    after: tuple[datetime, int] | None
    jobs: int


class Cleared(NamedTuple):
    """One batch of a pruned job's tasks: how many were looked at, removed, and are left."""

    seen: int
    cleared: int
    tasks_left: int


class RetentionStore(Protocol):
    """What the pruner needs of the database: every call is one transaction, and bounded."""

    async def take_turn(self, worker_id: int, hold_ms: int, every_ms: int | None = None) -> bool:
        """Take or keep the turn; with the time between two runs, only when one is due."""

    async def end_turn(self, worker_id: int, next_in_ms: int) -> None:
        """Give the turn away."""

    async def drop_results(self, age_ms: int, wait_ms: int) -> tuple[str | None, bool]:
        """Drop the oldest partition that is old; return its name, and whether its locks were taken."""

    async def prune_results(self, age_ms: int, limit: int) -> int:
        """Remove old results outside the daily partitions."""

    async def prune_jobs(
        self, keep: Keep, after: tuple[datetime, int] | None, limit: int
    ) -> JobsPruned:
        """Look at the next finished jobs, and remove those that are old."""

    async def find_uncleared(self, limit: int) -> Sequence[tuple[int, int]]:
        """Name job and domain of pruned jobs of which something may be left."""

    async def clear_tasks(self, job_id: int, limit: int) -> Cleared:
        """Remove the next tasks of a pruned job."""

    async def clear_texts(self, job_id: int, domain_id: int, limit: int) -> Mapping[str, int]:
        """Remove documents, link lists and raises of a pruned job; return how many of each."""

    async def mark_cleared(self, job_id: int) -> None:
        """Note that nothing is left."""

    async def prune_domains(self, age_ms: int, after: int, limit: int) -> tuple[int | None, int]:
        """Look at the next domains, and remove the unused ones; return where to go on, and how many."""

    async def prune_workers(self, age_ms: int, limit: int) -> int:
        """Remove processes that are long dead."""

    async def forget_pruned(self, age_ms: int, limit: int) -> int:
        """Forget jobs that were pruned long ago."""
