"""The clock of every transaction: how long it took, whether that is slow, whether it failed.

A transaction's name is that of its statement, or of the one it is about.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pacewheel import events
from pacewheel.logs import Logger
from pacewheel.store.faults import DRIVER_ERRORS, sqlstate_class

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pacewheel.metrics import Metrics

log = Logger("transactions")

SLOW_MS = 1000.0


class Transactions:
    """Times transactions and counts errors; those longer than `slow_ms` are slow, and said to be."""

    def __init__(self, metrics: Metrics, slow_ms: float = SLOW_MS) -> None:
        self._metrics = metrics
        self._slow_s = slow_ms / 1000

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
                log.say(events.TRANSACTION_SLOW, statement=name, duration_s=took_s)

    def failed(self, error: BaseException, name: str | None = None) -> None:
        """Count an error of the database, and the transaction (None: a connection) that it ended.

        That no connection was free in time is none of the database.
        """
        if isinstance(error, DRIVER_ERRORS):
            self._metrics.database_errors.labels(sqlstate_class(error)).inc()
        if name is not None:
            self._metrics.note_transaction_error(name)
