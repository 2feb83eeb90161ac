"""A terminal for tests: a command on a pseudo-terminal, its screen as a person sees it.

The screen is kept by an emulator (pyte), so that what is asserted is what stands there after all
cursor movements, and not the bytes that led to it.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

import pyte

from tests.commands import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

READ_BYTES = 65_536
ANSWER_S = 60.0
STEP_S = 0.05


class Terminal:
    """A command of pacewheel at work on a terminal; use as a context manager."""

    def __init__(self, arguments: Sequence[str], *, columns: int = 80, lines: int = 24) -> None:
        self._arguments = arguments
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.modes_before: list[object] = []
        self.modes_after: list[object] = []

    def __enter__(self) -> Self:
        self._master, self._slave = pty.openpty()
        self._set_size()
        self.modes_before = termios.tcgetattr(self._slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pacewheel", *self._arguments],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=self._environment(),
            start_new_session=True,
        )
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._slave)
        os.close(self._master)

    @staticmethod
    def _environment() -> dict[str, str]:
        """As on a terminal, which has a size of its own; who runs tests may have set another."""
        values = environment(TERM="xterm-256color")
        return {name: value for name, value in values.items() if name not in {"COLUMNS", "LINES"}}

    def _set_size(self) -> None:
        size = struct.pack("HHHH", self.screen.lines, self.screen.columns, 0, 0)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, size)

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, as a user does who drags the window's corner."""
        self.screen.resize(lines, columns)
        self._set_size()
        self.process.send_signal(signal.SIGWINCH)

    @property
    def refuses_to_wait(self) -> bool:
        """Whether a write to the terminal fails when it is slow, for everybody who has it open."""
        return bool(fcntl.fcntl(self._slave, fcntl.F_GETFL) & os.O_NONBLOCK)

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, without what is blank at the end of its lines."""
        return [line.rstrip() for line in self.screen.display]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def read(self) -> None:
        """Take what has come so far."""
        while select.select([self._master], [], [], STEP_S)[0]:
            data = os.read(self._master, READ_BYTES)
            self.raw += data
            self._stream.feed(data)

    def until(self, condition: Callable[[list[str]], bool]) -> list[str]:
        """Wait for the screen to be as the condition says; return it."""
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            self.read()
            if condition(self.lines):
                return self.lines
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self}"
        raise AssertionError(f"not within {ANSWER_S:g} s:\n{self}")

    def until_line(self, *words: str) -> list[str]:
        """Wait until one line has all of these words."""
        return self.until(lambda lines: any(all(word in line for word in words) for line in lines))

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        deadline = time.monotonic() + ANSWER_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self}"
            self.read()
        self.read()
        self.modes_after = termios.tcgetattr(self._slave)
        return self.process.returncode
