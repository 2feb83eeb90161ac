"""What the server needs of the engine and of the daemon: narrow protocols.

Everything that needs the database may raise StoreUnavailable, and does so before the engine has
connected.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacewheel.changes import Domains
    from pacewheel.config import Config
    from pacewheel.held import Held
    from pacewheel.job import Job
    from pacewheel.job_summary import JobSummary
    from pacewheel.metrics import Metrics
    from pacewheel.model import JobInfo, StuckJob, Waiting
    from pacewheel.observer import Observer
    from pacewheel.overview import OverviewStore
    from pacewheel.report.facts import Flow, Pace


class Phase(StrEnum):
    """Where a daemon is in its life."""

    STARTING = "starting"
    """It connects, and waits for a database that is away."""
    RUNNING = "running"
    DRAINING = "draining"
    """It takes no new tasks, and ends when those that run have ended."""


@dataclass(slots=True)
class Life:
    """What the daemon knows of itself; `waits_for` says what a start waits for."""

    phase: Phase = Phase.STARTING
    waits_for: str | None = None


class Jobs(Protocol):
    """Lists jobs."""

    async def list_jobs(
        self,
        *,
        ids: Sequence[int] | None,
        domain: str | None,
        live_only: bool,
        limit: int,
        before: int | None = None,
    ) -> list[JobInfo]:
        """Return jobs, newest first, those with an id below `before`."""


class Reports(Protocol):
    """Reads what a verdict rests on."""

    async def read_flow(self, job_id: int) -> tuple[JobInfo, Flow, Pace]:
        """Return the job, what its attempts took, and how they departed."""


class Store(Protocol):
    """The database, as far as the server reads it."""

    @property
    def overview(self) -> OverviewStore:
        """The read model."""

    @property
    def jobs(self) -> Jobs:
        """Jobs."""

    @property
    def reports(self) -> Reports:
        """What verdicts rest on."""

    @property
    def changes(self) -> Domains:
        """What users change of domains."""

    async def ping(self) -> None:
        """Return when the database has answered."""


class Engine(Protocol):
    """The engine of this process."""

    config: Config
    metrics: Metrics
    observer: Observer

    @property
    def store(self) -> Store:
        """The database, once connected."""

    @property
    def held(self) -> Held | None:
        """The lease of this process and its domains, while it runs or drains."""

    async def get_job(self, job_id: int) -> Job:
        """Return the job."""

    async def explain(
        self, *, job_ids: Sequence[int] | None = None, domain: str | None = None
    ) -> list[Waiting]:
        """Return why live tasks wait."""

    async def summarise_job(self, job_id: int) -> JobSummary:
        """Sum up the last attempts of a job's pages."""

    async def find_stuck_jobs(self) -> list[StuckJob]:
        """Return jobs without progress although nothing asks them to wait."""
