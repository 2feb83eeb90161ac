"""The figures of the overview: data only, each class a part of the answer of /api/v1/overview.

The OpenAPI document is made of these classes, so what stands here is what is promised. Figures of
"this process" are its own metrics; `totals` are the database's and the same in every process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacewheel.doctor.findings import Finding, Level
from pacewheel.web.ports import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pacewheel.overview import Totals
    from pacewheel.report.binds import Binding


@dataclass(frozen=True, slots=True)
class Health:
    """What is not in order with this process, worst first; `state` is the worst level."""

    state: Level
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class ThisWorker:
    """The process that answers.

    `unsettled` counts the tasks it has claimed and not settled. `waits_for` says what a start waits
    for.
    """

    worker_id: int | None
    host: str
    pid: int
    version: str
    phase: Phase
    waits_for: str | None
    lease_valid: bool
    listener_up: bool
    domains_held: int
    unsettled: int
    uptime_s: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Over the last ten seconds; None while it is not known.

    `attempts_per_s` and `enqueued_per_s` are of all processes, by the database's statistics; the
    others are of this process.
    """

    attempts_per_s: float | None = None
    enqueued_per_s: float | None = None
    claimed_per_s: float | None = None
    completed_per_s: float | None = None
    failed_per_s: float | None = None
    retried_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Slots:
    """Tasks this process may run at once: now, the most in use lately, and the bounds."""

    size: int
    busy: int
    min: int
    max: int


@dataclass(frozen=True, slots=True)
class Pool:
    """This process's connections for work, and the requests that wait for one."""

    busy: int
    idle: int
    waiting: int
    limit: int


@dataclass(frozen=True, slots=True)
class HotJob:
    """A job that this process is most busy with: counts of the last full minute."""

    job_id: int
    claims: int
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class Cache:
    """This process's cache of jobs since its start; `hit_ratio` is None before the first question."""

    hit_ratio: float | None
    hits: int
    misses: int
    joins: int
    loads: int
    evictions: int
    entries: int
    invalidations_by_reason: Mapping[str, int]
    hot_jobs: Sequence[HotJob]


@dataclass(frozen=True, slots=True)
class Transactions:
    """One statement's transactions of the last five minutes in this process."""

    statement: str
    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    slow: int
    errors: int


@dataclass(frozen=True, slots=True)
class ScalingNote:
    """An evaluation of the scaler that said something new."""

    at: datetime
    decision: str
    reason: str
    slots_before: int
    slots_after: int


@dataclass(frozen=True, slots=True)
class Scaling:
    """The scaler's evaluations: a minute, and since the start; `recent` are the last, newest first."""

    per_min: float | None
    by_decision: Mapping[str, int]
    by_reason: Mapping[str, int]
    recent: Sequence[ScalingNote]


@dataclass(frozen=True, slots=True)
class Raises:
    """Raised priorities in this process; `buffered` tasks wait in the debounce buffer."""

    per_min: float | None
    by_outcome: Mapping[str, int]
    buffered: int
    buffered_by_tier: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Process:
    """What this process uses; None where it isn't known yet. `cpu_ratio` 1 is one core.

    The network is the machine's, or the container's, loopback left out.
    """

    cpu_ratio: float | None
    memory_bytes: int
    memory_limit_bytes: int
    network_received_bytes_per_s: float | None
    network_sent_bytes_per_s: float | None
    open_files: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at one instant.

    `totals` are None until the database has answered once; `totals_age_s` says how old they are,
    more than a second or two when the database is away. `database` are the metrics
    `pacewheel_database_*` by what follows that prefix, labels behind a colon; `database_per_s` says
    how much those that only grow did a second, in the last minute, None before two readings.
    `transaction_p99_ms` is of all statements since the sample before this one.
    """

    at: datetime
    worker: ThisWorker
    totals: Totals | None
    totals_age_s: float | None
    rates: Rates
    slots: Slots
    pool: Pool
    cache: Cache
    transactions: Sequence[Transactions]
    transaction_p99_ms: float | None
    errors_by_class: Mapping[str, int]
    scaling: Scaling
    raises: Raises
    process: Process
    database: Mapping[str, float]
    database_per_s: Mapping[str, float | None]
    health: Health
    binds: Binding
