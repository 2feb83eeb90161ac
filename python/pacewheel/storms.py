"""Storms of one event: the first lines pass, the rest is counted and said once.

Owns the count of lines by logger and event. At most `BURST` lines of one event pass in `WINDOW_S`;
what came more is handed over as one line when the window ends, by a timer thread of its own that
exists only meanwhile: in a storm that ends nobody else comes by to say it. Survives nothing: a
process that is killed has said the first lines.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 10
WINDOW_S = 10.0

Key = tuple[str, str]


class Storms:
    """Decides which records pass; `sum_up` is called with the last of those that did not, and how many."""

    def __init__(
        self,
        sum_up: Callable[[logging.LogRecord, int], None],
        *,
        window_s: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sum_up = sum_up
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._began_s: dict[Key, float] = {}
        self._passed: dict[Key, int] = {}
        self._held_back: dict[Key, tuple[logging.LogRecord, int]] = {}
        self._timer: threading.Timer | None = None

    def admit(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be written."""
        key = (record.name, str(getattr(record, "event", "")))
        now_s = self._clock()
        with self._lock:
            if now_s - self._began_s.get(key, float("-inf")) >= self._window_s:
                self._began_s[key] = now_s
                self._passed[key] = 0
            if self._passed[key] < BURST:
                self._passed[key] += 1
                return True
            _, before = self._held_back.get(key, (record, 0))
            self._held_back[key] = (record, before + 1)
            if self._timer is None:
                self._timer = threading.Timer(self._window_s, self.flush)
                self._timer.daemon = True
                self._timer.start()
            return False

    def flush(self) -> None:
        """Say what was held back."""
        with self._lock:
            self._timer = None
            held_back, self._held_back = self._held_back, {}
        for record, repeated in held_back.values():
            self._sum_up(record, repeated)

    def close(self) -> None:
        """Say what was held back, and stop the timer."""
        timer = self._timer
        if timer is not None:
            timer.cancel()
        self.flush()
