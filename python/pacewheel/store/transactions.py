"""The clock of every transaction: how long it took, whether that is slow, whether it failed.

Owns what is said of slow transactions: a line at most every ten seconds, with how many went unsaid.
A transaction's name is that of its statement, or of the one it is about.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pacewheel.store.faults import DRIVER_ERRORS, sqlstate_class

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.metrics import Metrics

log = logging.getLogger("pacewheel.transactions")

SLOW_MS = 1000.0
LINES_APART_S = 10.0


class Transactions:
    """Times transactions and counts errors; those longer than `slow_ms` are slow."""

    def __init__(self, metrics: Metrics, slow_ms: float = SLOW_MS) -> None:
        self._metrics = metrics
        self._slow_s = slow_ms / 1000
        self._said_s = float("-inf")
        self._unsaid = 0

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time what is done inside, however it ends."""
        began_s = time.perf_counter()
        try:
            yield
        finally:
            took_s = time.perf_counter() - began_s
            is_slow = took_s > self._slow_s
            self._metrics.note_transaction(name, took_s, is_slow=is_slow)
            if is_slow:
                self._say(name, took_s)

    def failed(self, error: BaseException, name: str | None = None) -> None:
        """Count an error of the database, and the transaction (None: a connection) that it ended."""
        if not isinstance(error, DRIVER_ERRORS):
            return
        self._metrics.database_errors.labels(sqlstate_class(error)).inc()
        if name is not None:
            self._metrics.note_transaction_error(name)

    def _say(self, name: str, took_s: float) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s < LINES_APART_S:
            self._unsaid += 1
            return
        log.warning(
            "slow transaction: %s took %.1f s, more than slow_transaction_ms=%g (%d more since the"
            " last such line)",
            name,
            took_s,
            self._slow_s * 1000,
            self._unsaid,
        )
        self._said_s, self._unsaid = now_s, 0
