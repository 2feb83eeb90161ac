"""Looking at something once, or again every second: what `--json` and `--watch` do, for all commands alike.

A command says how its value is read and how it is shown. Once: lines, or JSON, an object a line.
With `--watch`: drawn anew every second on a terminal, printed one after the other elsewhere, and
with `--json` one object a second, until Ctrl-C, which is the way to end it and no error. A
database that goes away meanwhile is waited for.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rich.console import Group
from rich.text import Text

from pacewheel.cli import options
from pacewheel.cli.engines import connected, run_async
from pacewheel.cli.interrupt import Interrupt
from pacewheel.cli.screen import Screen, is_terminal
from pacewheel.clock import monotonic_ms
from pacewheel.errors import StoreUnavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from pacewheel.config import Config
    from pacewheel.engine import Engine

INTERVAL_S = 1.0
ENDED_BY_USER = {0, 130}
_HEAD_LINES = 2

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Look(Generic[Value]):
    """How a value is read and shown.

    `lines` gets the width to keep to, or None. `name` is what the objects are called in a watch's
    object; without a name it is one object.
    """

    read: Callable[[Engine], Awaitable[Value]]
    lines: Callable[[Value, int | None], Sequence[str]]
    objects: Callable[[Value], Sequence[dict[str, Any]]]
    name: str | None = None


def run(args: argparse.Namespace, look: Look[Value]) -> int:
    """Show what `look` says, in the way that the arguments ask for; returns the exit code.

    Raises:
        As `look.read`, and StoreUnavailable: the database is away at the start.
    """
    # That the database is away is shown, and need not be logged too.
    config = options.load_config(args, log_level="error")
    if args.watch:
        if args.json or not is_terminal():
            return run_async(
                watch(config, lambda engine: print_all(engine, look, as_json=args.json))
            )
        return run_async(watch(config, lambda engine: _draw(engine, look)))
    value = run_async(_read(config, look))
    if args.json:
        for each in look.objects(value):
            print(json.dumps(each))
    else:
        print("\n".join(look.lines(value, None)))
    return 0


async def _read(config: Config, look: Look[Value]) -> Value:
    async with connected(config) as engine:
        return await look.read(engine)


async def watch(config: Config, show: Callable[[Engine], Awaitable[None]]) -> int:
    """Run `show` until it returns or a signal comes; returns the exit code, 0 for Ctrl-C."""
    with Interrupt() as interrupt:
        try:
            async with connected(config) as engine:
                await show(engine)
        except asyncio.CancelledError:
            if not interrupt.exit_code:
                raise
    return 0 if interrupt.exit_code in ENDED_BY_USER else interrupt.exit_code


async def print_all(engine: Engine, look: Look[Value], *, as_json: bool) -> None:
    """Print what is read every second, without end."""
    values = Values(engine, look.read)
    was_away = False
    while True:
        value, trouble = await values.next()
        if trouble is not None:
            if not was_away:
                print(f"pacewheel: {trouble}; trying again every second", file=sys.stderr)
        elif as_json:
            print(json.dumps(_object(look, value)), flush=True)
        else:
            print("\n".join(look.lines(value, None)), end="\n\n", flush=True)
        was_away = trouble is not None
        await asyncio.sleep(values.rest_s())


def _object(look: Look[Value], value: Value) -> dict[str, Any]:
    at = {"at": datetime.now(UTC).isoformat()}
    objects = look.objects(value)
    return at | ({look.name: list(objects)} if look.name else objects[0])


async def _draw(engine: Engine, look: Look[Value]) -> None:
    values = Values(engine, look.read)
    await values.next()
    with Screen() as screen, values.kept(screen):
        while True:
            value, trouble = values.latest
            screen.draw(_page(look.lines(value, screen.columns), screen.lines, trouble))
            if await screen.event() == "q":
                return


def _page(lines: Sequence[str], height: int, trouble: str | None) -> Group:
    room = max(1, height - _HEAD_LINES)
    shown = list(lines)
    if len(lines) > room:
        shown = [*lines[: room - 1], f"... and {len(lines) - room + 1} more lines"]
    head = f"{datetime.now(UTC).astimezone():%H:%M:%S}, every second; q or Ctrl-C ends"
    return Group(status(head, trouble), Text(""), *(one_line(line) for line in shown))


def status(head: str, trouble: str | None) -> Text:
    """Return the first line of a screen: what is shown, or why it is old."""
    if trouble is None:
        return one_line(head, style="dim")
    return one_line(f"old, for now: {trouble}", style="bold red")


def one_line(text: str, *, style: str = "") -> Text:
    """Return a text that is cut off at the terminal's edge."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


class Values(Generic[Value]):
    """A value read anew once a second; a database that is away is waited for."""

    def __init__(self, engine: Engine, read: Callable[[Engine], Awaitable[Value]]) -> None:
        self._engine = engine
        self._read = read
        self._last: Value | None = None
        self._trouble: str | None = None
        self._next_s = monotonic_ms() / 1000

    @property
    def latest(self) -> tuple[Value, str | None]:
        """The last value there is; and, while it can't be read, the reason."""
        if self._last is None:
            raise AssertionError
        return self._last, self._trouble

    async def next(self) -> tuple[Value, str | None]:
        """Read it now; return what `latest` says then.

        Raises:
            StoreUnavailable: the database is away, and there is no value from before.
        """
        self._next_s = max(self._next_s + INTERVAL_S, monotonic_ms() / 1000)
        try:
            self._last = await self._read(self._engine)
            self._trouble = None
        except StoreUnavailable as error:
            if self._last is None:
                raise
            self._trouble = str(error)
        return self.latest

    def rest_s(self) -> float:
        """Return how long it is until the value is to be read again."""
        return max(0.0, self._next_s - monotonic_ms() / 1000)

    @contextmanager
    def kept(self, screen: Screen) -> Iterator[None]:
        """Read every second in the background, whatever is done meanwhile, and tell the screen."""

        async def keep() -> None:
            while True:
                await asyncio.sleep(self.rest_s())
                await self.next()
                screen.tell("read")

        task = asyncio.ensure_future(keep())
        screen.follow(task)
        try:
            yield
        finally:
            task.cancel()
