"""Shows the progress: a live table on a terminal, plain lines every few seconds elsewhere, or nothing.

Everything goes to standard error, so that standard output carries the summary alone. Says nothing
of its own: `progress` makes the rows and their words.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.live import Live

from pacewheel.cli import progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pacewheel.model import JobInfo

PLAIN_INTERVAL_S = 5.0


class Reporter(Protocol):
    """What the warm loop tells about its work."""

    def note(self, text: str) -> None:
        """Say a sentence."""

    def show(self, now_s: float, infos: Sequence[JobInfo]) -> None:
        """Show the state of all jobs at `now_s`, a clock that never goes back."""

    def close(self) -> None:
        """Leave the terminal as it was; may be called again."""


def reporter(labels: Mapping[str, str] | None = None, *, quiet: bool = False) -> Reporter:
    """Return the reporter for this process's standard error. `labels` replaces domains by names."""
    if quiet:
        return Quiet()
    if sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}:
        return OnTerminal(labels)
    return Plain(labels)


class Quiet:
    """Says nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def show(self, now_s: float, infos: Sequence[JobInfo]) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


class OnTerminal:
    """Redraws one table in place; what is logged meanwhile scrolls above it."""

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        """Draw nothing before the first `show`."""
        self._labels = labels
        self._history = progress.History()
        self._console = Console(stderr=True)
        self._live: Live | None = None

    def note(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(text, markup=False, emoji=False, highlight=False)

    def show(self, now_s: float, infos: Sequence[JobInfo]) -> None:
        """Draw the table anew."""
        self._history.note(now_s, infos)
        if self._live is None:
            self._live = Live(
                console=self._console, auto_refresh=False, transient=True, redirect_stdout=False
            )
            self._live.start()
        rows = progress.rows_of(infos, self._history, self._labels)
        size = self._console.size
        self._live.update(
            progress.table(rows, columns=size.width, lines=size.height - 1), refresh=True
        )

    def close(self) -> None:
        """Remove the table."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()


class Plain:
    """Prints lines without control characters: the state every few seconds, each site's end once."""

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        """Print nothing before the first `show`."""
        self._labels = labels
        self._history = progress.History()
        self._ended: set[int] = set()
        self._next_s: float | None = None

    def note(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)

    def show(self, now_s: float, infos: Sequence[JobInfo]) -> None:
        """Print what ended since the last call, and the state if it is time."""
        self._history.note(now_s, infos)
        rows = progress.rows_of(infos, self._history, self._labels)
        for row in rows:
            if row.state.is_final and row.job_id not in self._ended:
                self._ended.add(row.job_id)
                self.note(f"{row.label}: {row.state.name.lower()}, {row.settled}/{row.total} done")
        if self._next_s is None:
            self._next_s = now_s + PLAIN_INTERVAL_S
        if now_s >= self._next_s and len(self._ended) < len(rows):
            self._next_s = now_s + PLAIN_INTERVAL_S
            for line in progress.plain_lines(rows):
                self.note(line)

    def close(self) -> None:
        """Do nothing: every line stands for itself."""
