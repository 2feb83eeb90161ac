"""The terminal while a command owns it: another screen, keys without Enter, redrawn when its size changes.

Leaves the terminal as it was, however the command ends. Where standard input is no terminal there
are no keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.live import Live

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import RenderableType

_KEYS = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[C": "right",
    "\x1b[D": "left",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\t": "right",
}
# Arrows arrive as ESC O A too, where the terminal is in its application mode.
_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
_READ_BYTES = 256
_EVENTS_MAX = 64


def is_terminal() -> bool:
    """Tell whether standard output can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}


class Screen:
    """Use as a context manager, inside a running loop."""

    def __init__(self) -> None:
        """Touch nothing before the block is entered."""
        self._console = Console()
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False
        )
        self._events: asyncio.Queue[str] = asyncio.Queue(_EVENTS_MAX)
        self._modes: list[Any] | None = None
        self._keys: int | None = None
        self._followed: asyncio.Future[None] | None = None

    @property
    def columns(self) -> int:
        """How wide it is now."""
        return self._console.size.width

    @property
    def lines(self) -> int:
        """How high it is now."""
        return self._console.size.height

    def __enter__(self) -> Self:
        """Take the terminal."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, self.tell, "resized")
        if sys.stdin.isatty():
            self._modes = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin, termios.TCSANOW)
            # Opened once more: the loop makes what it reads non-blocking, and with it whatever the
            # same file is written by, our output and the shell's included.
            # Where it has no name there are no keys; Ctrl-C is a signal.
            with contextlib.suppress(OSError):
                self._keys = os.open(os.ttyname(sys.stdin.fileno()), os.O_RDONLY | os.O_NOCTTY)
                loop.add_reader(self._keys, self._read)
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGWINCH)
        try:
            self._live.stop()
        finally:
            if self._keys is not None:
                loop.remove_reader(self._keys)
                os.close(self._keys)
            if self._modes is not None:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._modes)

    def draw(self, what: RenderableType) -> None:
        """Show this and nothing else; what does not fit is cut off."""
        self._live.update(what, refresh=True)

    def tell(self, event: str) -> None:
        """Put an event behind those that wait; who presses keys faster than they are drawn loses some."""
        if not self._events.full():
            self._events.put_nowait(event)

    def follow(self, task: asyncio.Future[None]) -> None:
        """Have `event` raise what a task ends with."""
        self._followed = task
        task.add_done_callback(lambda _task: self.tell("ended"))

    async def event(self) -> str:
        """Return the next key, or what else has happened.

        Raises:
            What a followed task raised.
        """
        event = await self._events.get()
        if self._followed is not None and self._followed.done():
            self._followed.result()
        return event

    def _read(self) -> None:
        assert self._keys is not None
        text = os.read(self._keys, _READ_BYTES).decode(errors="replace")
        if not text:
            asyncio.get_running_loop().remove_reader(self._keys)
        for key in _KEY.findall(text):
            self.tell(_KEYS.get(key.replace("\x1bO", "\x1b["), key))
