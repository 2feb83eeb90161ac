"""What transactions cost and how they fail, by the statement that names them.

The label is the name of a file of sql/queries; a transaction of several statements goes under the
one it is about. A series is there from a statement's first transaction on, its counters from zero.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import Counter

from pacewheel.metrics.counting import counter_by
from pacewheel.metrics.histogram import LabelledHistogram, quantile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

TRANSACTION_BOUNDS_S = (
    0.0005,
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    30,
)
RECENT_S = 300.0
MARKS = 10
QUANTILES = (0.5, 0.95, 0.99)
# What a server can be expected to raise; network and driver are `none`, anything else is `other`.
SQLSTATE_CLASSES = tuple("08 21 22 23 25 28 3D 3F 40 42 53 54 55 57 58 P0 XX none other".split())


@dataclass(frozen=True, slots=True)
class TransactionTimes:
    """The transactions of one statement in the last minutes; the quantiles of none are NaN."""

    statement: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    slow: int
    errors: int


class _Mark(NamedTuple):
    """What was counted up to a moment."""

    at_s: float
    counts: Mapping[str, tuple[int, ...]]
    slow: Mapping[str, int]
    errors: Mapping[str, int]


class TransactionMetrics:
    """Durations, slow ones, errors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.transaction_seconds = LabelledHistogram(
            "pacewheel_transaction_seconds",
            "Time of a transaction from its first statement to its answer, without the wait for a"
            " connection, by statement",
            "statement",
            bounds_s=TRANSACTION_BOUNDS_S,
        )
        registry.register(self.transaction_seconds)
        self.slow_transactions = Counter(
            "pacewheel_slow_transactions",
            "Transactions that took longer than slow_transaction_ms, by statement",
            ["statement"],
            registry=registry,
        )
        self.transaction_errors = Counter(
            "pacewheel_transaction_errors",
            "Transactions that failed, or got no connection, by statement; one that is run again"
            " counts each time",
            ["statement"],
            registry=registry,
        )
        self.database_errors = counter_by(
            "sqlstate_class",
            SQLSTATE_CLASSES,
            "pacewheel_database_errors",
            "Statements and connections that failed, by SQLSTATE class; none: network or driver",
            registry,
        )
        self._slow: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._marks = deque([_Mark(time.monotonic(), {}, {}, {})], maxlen=MARKS)

    def note_transaction(self, statement: str, duration_s: float, *, is_slow: bool) -> None:
        """Count a transaction that ended, however it ended."""
        self._know(statement)
        self.transaction_seconds.observe(statement, duration_s)
        if is_slow:
            self.slow_transactions.labels(statement).inc()
            self._slow[statement] += 1

    def note_transaction_error(self, statement: str) -> None:
        """Count a transaction that failed."""
        self._know(statement)
        self.transaction_errors.labels(statement).inc()
        self._errors[statement] += 1

    def _know(self, statement: str) -> None:
        """Let the statement's counters start from zero, so that their first increase is seen."""
        if statement not in self._slow:
            self._slow[statement] = self._errors[statement] = 0
            self.slow_transactions.labels(statement)
            self.transaction_errors.labels(statement)

    def transaction_times(self) -> list[TransactionTimes]:
        """Return the statements' times of the last five minutes, or since the last look if longer.

        Those with transactions or errors only, by name.
        """
        now_s = time.monotonic()
        counts = self.transaction_seconds.counts()
        while len(self._marks) > 1 and self._marks[1].at_s <= now_s - RECENT_S:
            self._marks.popleft()
        since = self._marks[0]
        times = []
        for name, slow in sorted(self._slow.items()):
            recent = _less(counts.get(name, ()), since.counts.get(name, ()))
            p50_ms, p95_ms, p99_ms = (
                1000 * quantile(TRANSACTION_BOUNDS_S, recent, share) for share in QUANTILES
            )
            slow_now = slow - since.slow.get(name, 0)
            errors = self._errors[name] - since.errors.get(name, 0)
            if recent or errors:
                times.append(
                    TransactionTimes(name, sum(recent), p50_ms, p95_ms, p99_ms, slow_now, errors)
                )
        if now_s - self._marks[-1].at_s > RECENT_S / (MARKS - 1):
            self._marks.append(_Mark(now_s, counts, dict(self._slow), dict(self._errors)))
        return times


def _less(now: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    """Return what was counted since, nothing when that was no transaction at all."""
    less = tuple(n - b for n, b in zip(now, before, strict=True)) if before else now
    return less if any(less) else ()
