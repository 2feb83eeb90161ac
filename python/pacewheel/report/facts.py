"""What is read of a job for its report: one class a statement of sql/queries/report_*.sql.

Data only. Lists are cut, with the number there are beside them. Times are milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pacewheel.model import JobInfo, Waiting

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """The first rows of a list, and how many it has in all."""

    total: int = 0
    rows: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class Sums:
    """A job's attempts, and the last results of its pages.

    `warm` counts the pages that a cache had at the last answer, `judged` those of which one said
    anything.
    `cold_` are answers that a cache had to fetch, `warm_` those that it had. The mappings count by
    word; `left_out` says what was found and made no task, by reason, `robots_lines` how many of it
    each line of robots.txt kept out.
    """

    attempts: int = 0
    requests: int = 0
    retries: int = 0
    bytes: int = 0
    pages: int = 0
    ok: int = 0
    broken: int = 0
    skipped: int = 0
    disallowed: int = 0
    warm: int = 0
    judged: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    cold_answers: int = 0
    cold_p50_ms: float | None = None
    cold_p95_ms: float | None = None
    warm_answers: int = 0
    warm_p50_ms: float | None = None
    warm_p95_ms: float | None = None
    kinds: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    cache: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    robots_lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def warm_share(self) -> float | None:
        """The part of the pages with a known cache answer that came from the cache."""
        return self.warm / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class Section:
    """The pages under one first path segment; `/` are those directly below the root."""

    name: str
    pages: int
    ok: int
    broken: int
    warm: int
    judged: int
    bytes: int
    p50_ms: float | None

    @property
    def warm_share(self) -> float | None:
        """As `Sums.warm_share`, of this section."""
        return self.warm / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class Linker:
    """A page that links somewhere, and at which position: header, nav, main, body, footer."""

    url: str
    position: str


@dataclass(frozen=True, slots=True)
class BrokenPage:
    """A page that failed for good. `source` and `found_on`: what led to it first."""

    url: str
    http_status: int | None
    error: str | None
    message: str | None
    attempts: int
    source: str | None
    found_on: str | None
    linkers: Listing[Linker] = field(default_factory=Listing)


@dataclass(frozen=True, slots=True)
class Redirect:
    """A page that leads elsewhere; `hops` counts this one and those before it."""

    url: str
    http_status: int | None
    redirects_to: str | None
    hops: int
    is_loop: bool
    leaves_site: bool


@dataclass(frozen=True, slots=True)
class Redirects:
    """The first of the pages that redirect, how many they are, and how many of them are in loops."""

    total: int = 0
    loops: int = 0
    rows: Sequence[Redirect] = ()


@dataclass(frozen=True, slots=True)
class PageCost:
    """What a page cost: its answer's time and its size on the wire."""

    url: str
    http_status: int | None
    first_byte_ms: float | None
    answer_ms: float
    bytes: int
    cache: str | None


@dataclass(frozen=True, slots=True)
class Uncacheable:
    """Pages that no cache keeps, for one cause."""

    cause: str
    pages: int
    examples: Sequence[str]


@dataclass(frozen=True, slots=True)
class Disallowed:
    """A URL that robots.txt forbids, by which of its lines."""

    url: str
    line: int | None
    source: str | None
    found_on: str | None


@dataclass(frozen=True, slots=True)
class Pace:
    """Departures against gaps and pauses; see sql/queries/report_pace.sql for each."""

    departures: int = 0
    least_gap_ms: int | None = None
    most_gap_ms: int | None = None
    too_close: int = 0
    seen_ms: float | None = None
    permitted_ms: int | None = None
    permitted_sum_ms: float = 0.0
    seen_sum_ms: float = 0.0
    handovers: int = 0
    handover_ms: float | None = None
    handovers_too_close: int = 0
    precision_ms: float | None = None
    pauses: int = 0
    asked_ms: float = 0.0
    departed_within: int = 0
    paused_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Flow:
    """What the attempts took, in which part of the way; see sql/queries/report_flow.sql."""

    attempts: int = 0
    window_ms: float = 0.0
    retrying_ms: float = 0.0
    busy_ms: float = 0.0
    answer_ms: float = 0.0
    own_ms: float | None = None
    waits: int = 0
    waited_ms: float = 0.0
    recent: int = 0
    recent_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Changes:
    """Another job of the site, what it came to, and what differs by pages.

    `newly_broken` are broken now and were not there, `mended` answer now and were broken there.
    """

    job: JobInfo
    sums: Sums
    redirects: Redirects = field(default_factory=Redirects)
    newly_broken: Listing[str] = field(default_factory=Listing)
    mended: Listing[str] = field(default_factory=Listing)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is read of one job, as of `read_at`."""

    job: JobInfo
    read_at: datetime
    sums: Sums = field(default_factory=Sums)
    sections: Listing[Section] = field(default_factory=Listing)
    broken: Sequence[BrokenPage] = ()
    redirects: Redirects = field(default_factory=Redirects)
    slow: Sequence[PageCost] = ()
    heavy: Sequence[PageCost] = ()
    uncacheable: Sequence[Uncacheable] = ()
    unlinked: Listing[str] = field(default_factory=Listing)
    unlisted: Listing[str] = field(default_factory=Listing)
    disallowed: Sequence[Disallowed] = ()
    pace: Pace = field(default_factory=Pace)
    flow: Flow = field(default_factory=Flow)
    waiting: Sequence[Waiting] = ()
    changes: Changes | None = None
    results_from: datetime | None = None
    """Results that finished before were removed by retention."""
