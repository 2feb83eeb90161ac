"""What the closing summary of a job is made of: data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class JobSummary:
    """The last attempts of a job's tasks of one kind, summed up.

    `requests` counts every attempt of every kind. Words are counted: `left_out` says why URLs that
    were found made no task, `uncacheable` why pages never come from a cache, `rechecks` what the
    last second request of a page met. `cold_ms` and `warm_ms` are medians to the first byte of the
    two requests of pages that became warm. Times are milliseconds; `first_at` and `last_at` are
    ends of attempts.
    """

    requests: int
    pages: int
    ok: int
    bytes: int
    p50_ms: float
    p95_ms: float
    statuses: dict[str, int]
    errors: dict[str, int]
    cache: dict[str, int]
    left_out: dict[str, int]
    first_at: datetime | None
    last_at: datetime | None
    uncacheable: dict[str, int] = field(default_factory=dict)
    rechecks: dict[str, int] = field(default_factory=dict)
    cold_ms: float | None = None
    warm_ms: float | None = None
