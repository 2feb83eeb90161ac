"""What the doctor looks at: values read from the server by `store/doctor.py`, each part by itself.

A part that can't be read is missing and its error stands in its place, so that a server that is
away, a schema that is old and a right that is lacking are findings like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from pacewheel.errors import PacewheelError
    from pacewheel.model import StuckJob
    from pacewheel.overview import SlowStatement, WorkerInfo

    Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """The server, and what it says of itself; see sql/queries/read_server.sql."""

    version: int
    version_words: str
    is_standby: bool
    role: str
    sees_all: bool
    sessions: int
    sessions_max: int
    reserved: int
    queue_usage: float
    age: int
    settings: Mapping[str, str]
    clock_ahead_ms: float
    """Of this machine's; negative when it is behind."""
    round_trip_ms: float


@dataclass(frozen=True, slots=True)
class Rights:
    """See sql/queries/read_rights.sql."""

    may_use: bool
    may_create: bool
    owns: bool
    refused: Sequence[str]


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema's version (0: there is none), that of this code, and what of its parts is missing."""

    version: int
    known: int
    missing: Sequence[str]


@dataclass(frozen=True, slots=True)
class Index:
    """See sql/queries/list_indexes.sql."""

    name: str
    on_table: str
    is_valid: bool
    bytes: int
    entries: float
    entry_bytes: float


@dataclass(frozen=True, slots=True)
class Table:
    """See sql/queries/list_tables.sql."""

    name: str
    bytes: int
    live: int
    dead: int
    vacuumed_s: float | None


@dataclass(frozen=True, slots=True)
class Holder:
    """Something that holds back vacuum; see sql/queries/list_holders.sql."""

    kind: str
    name: str
    who: str | None
    pid: int | None
    state: str | None
    age_s: float | None
    xmin_age: int | None
    retained_bytes: int | None


@dataclass(frozen=True, slots=True)
class Partitions:
    """See sql/queries/read_partitions.sql."""

    partitions: int
    bytes: int
    has_today: bool
    has_tomorrow: bool
    in_default: bool
    oldest: date | None
    today: date


@dataclass(frozen=True, slots=True)
class Hints:
    """How long a hint took that was sent to oneself; None when it never came, with the reason."""

    heard_ms: float | None
    reason: str | None = None
    expected: bool = True


@dataclass(frozen=True, slots=True)
class Work:
    """What is at work, and what should be."""

    workers: Sequence[WorkerInfo]
    unknown_handlers: Sequence[tuple[str, int, int]]
    stuck: Sequence[StuckJob]
    orphaned_jobs: Sequence[int]
    stranded_domains: Sequence[int]
    drifting_jobs: Sequence[int]
    compared: int


@dataclass(slots=True)
class Facts:
    """All parts, and the errors of those that could not be read, by the part's name."""

    where: str
    schema_name: str
    pooler: bool
    reserve: int
    pool_max: int
    least_each: int
    results_keep_days: float
    server: Server | None = None
    rights: Rights | None = None
    schema: Schema | None = None
    indexes: Sequence[Index] | None = None
    tables: Sequence[Table] | None = None
    holders: Sequence[Holder] | None = None
    slow: Sequence[SlowStatement] | None = None
    partitions: Partitions | None = None
    hints: Hints | None = None
    work: Work | None = None
    errors: dict[str, PacewheelError] = field(default_factory=dict)
