"""Questions to the database, so that those who look can't get in the way of the work.

They share the engine's connections with it: so many at once at most, each within a time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from pacewheel.errors import PacewheelError, StoreUnavailable
from pacewheel.web.ports import Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pacewheel.web.ports import Engine, Life, Store

AT_ONCE_MAX = 4
PATIENCE_S = 10.0
LONG_PATIENCE_S = 120.0

Value = TypeVar("Value")


class Database:
    """The engine's store, for people who look."""

    def __init__(self, engine: Engine, life: Life) -> None:
        self._engine = engine
        self._life = life
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._long_turns = asyncio.Semaphore(1)

    def check_there(self) -> None:
        """Refuse while the engine has no database.

        Raises:
            StoreUnavailable: it waits for one, or has stopped.
        """
        if self._life.phase is Phase.STARTING:
            raise StoreUnavailable(
                f"the process waits for its database ({self._life.waits_for or 'it is starting'}): "
                "try again soon"
            )

    async def ask(self, question: Callable[[Store], Awaitable[Value]]) -> Value:
        """Return the answer.

        Raises:
            StoreUnavailable: there is none within the time, or no database.
            StoreError: the database refused, or there is no such thing.
        """
        return await self._ask(question, self._turns, PATIENCE_S)

    async def ask_at_length(self, question: Callable[[Store], Awaitable[Value]]) -> Value:
        """Return the answer to what may take minutes: one such question at a time.

        Raises:
            StoreUnavailable, StoreError: as `ask`.
        """
        return await self._ask(question, self._long_turns, LONG_PATIENCE_S)

    async def change(self, change: Callable[[Store], Awaitable[Value]]) -> Value:
        """Make a change, which is not given up halfway.

        Raises:
            StoreUnavailable, StoreError: as `ask`.
        """
        return await self._ask(change, self._turns, LONG_PATIENCE_S)

    async def _ask(
        self,
        question: Callable[[Store], Awaitable[Value]],
        turns: asyncio.Semaphore,
        patience_s: float,
    ) -> Value:
        self.check_there()
        try:
            store = self._engine.store
        except PacewheelError as error:
            # It has let go of it, or a part of it gave up.
            raise StoreUnavailable(f"the process is ending ({error}): ask another one") from error

        async def in_turn() -> Value:
            async with turns:
                return await question(store)

        asking = asyncio.create_task(in_turn(), name="pacewheel question")
        try:
            done, _ = await asyncio.wait({asking}, timeout=patience_s)
        finally:
            # Not waited for: a connection that hangs takes its time to be given up.
            asking.cancel()
            asking.add_done_callback(_forget)
        if not done:
            raise StoreUnavailable(
                f"the database has not answered within {patience_s:g} s: try again, or see what "
                "it is busy with"
            )
        return asking.result()


def _forget(asked: asyncio.Task[object]) -> None:
    """Take note of how it ended, or asyncio would complain that nobody did."""
    if not asked.cancelled():
        asked.exception()
