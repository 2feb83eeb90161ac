"""The way of a line to standard error, which never holds the process up.

Owns the lines that are not written yet. A line is written at once if that can't take long: to a file,
or to a pipe with room. Else (a pipe that is full; a terminal, since none tells its room) a thread
writes it and those after it, in their order, and ends when it has caught up. It is waited for a
moment, so that what is printed next comes next, and no longer: the leases rest on the event loop.
At most `WAITING_MAX` lines wait; how many came more is said when there is room again. A reader that
is gone gets nothing and hurts nobody. What waits when the process ends gets `CLOSE_S`.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WAITING_MAX = 1_000
CLOSE_S = 1.0
WRITE_S = 0.05


class StandardError:
    """Takes lines from any thread; `left_out` makes the line that says how many are missing."""

    def __init__(self, left_out: Callable[[int], str]) -> None:
        self._left_out = left_out
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._missing = 0
        self._thread: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Write a line, or let it wait.

        Raises:
            OSError, ValueError: standard error is closed.
        """
        stream, ours = sys.stderr, sys.__stderr__
        if stream is None:
            return
        if ours is None or stream is not ours:
            # The live progress has replaced it while it draws, or a test.
            stream.write(f"{line}\n")
            stream.flush()
            return
        fd, data = ours.fileno(), _encoded(line)
        with self._lock:
            if self._thread is None and _takes(fd, len(data)):
                _write(fd, data)
                return
            if len(self._waiting) == WAITING_MAX:
                self._missing += 1
                return
            self._waiting.append(data)
            if self._thread is not None:
                return
            thread = self._thread = threading.Thread(target=self._catch_up, args=(fd,), daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The interpreter ends, or there can be no more threads.
                self._thread = None
                while self._waiting:
                    _write(fd, self._waiting.popleft())
                return
        thread.join(WRITE_S)

    def close(self) -> None:
        """Give what waits a moment."""
        thread = self._thread
        if thread is not None:
            thread.join(CLOSE_S)

    def _catch_up(self, fd: int) -> None:
        while (data := self._next()) is not None:
            _write(fd, data)

    def _next(self) -> bytes | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            missing, self._missing = self._missing, 0
            if missing:
                return _encoded(self._left_out(missing))
            self._thread = None
            return None


def is_terminal() -> bool:
    """Tell whether people read it as it is written."""
    return sys.stderr is not None and sys.stderr.isatty()


def _encoded(line: str) -> bytes:
    return f"{line}\n".encode(errors="backslashreplace")


def _takes(fd: int, size: int) -> bool:
    """Tell whether a write of so many bytes returns at once."""
    mode = os.fstat(fd).st_mode
    if not stat.S_ISFIFO(mode):
        return stat.S_ISREG(mode)
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return size <= select.PIPE_BUF and bool(poll.poll(0))


def _write(fd: int, data: bytes) -> None:
    """Write all of it, however long that takes; nothing when nobody reads any more."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            # Whoever shares the pipe has made it so.
            select.select([], [fd], [])
        except OSError:
            return
