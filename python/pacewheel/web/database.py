"""Questions to the database, so that those who look can't get in the way of the work.

They share the engine's connections with it: so many at once at most, each within a time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from pacewheel.errors import PacewheelError, StoreUnavailable
from pacewheel.web.ports import Phase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pacewheel.web.ports import Engine, Life, Store

AT_ONCE_MAX = 4
PATIENCE_S = 10.0
LONG_PATIENCE_S = 120.0
CHANGES_AT_ONCE_MAX = 2
CHANGE_PATIENCE_S = 30.0

Value = TypeVar("Value")


class Database:
    """The engine's store, for people who look."""

    def __init__(self, engine: Engine, life: Life) -> None:
        self._engine = engine
        self._life = life
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._long_turns = asyncio.Semaphore(1)
        self._changes = asyncio.Semaphore(CHANGES_AT_ONCE_MAX)
        self._asking: set[asyncio.Task[Any]] = set()

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
        """Make a change; one that takes too long goes on, though nobody waits for it any more.

        Raises:
            StoreUnavailable, StoreError: as `ask`.
        """
        return await self._ask(change, self._changes, CHANGE_PATIENCE_S, is_change=True)

    async def _ask(
        self,
        question: Callable[[Store], Awaitable[Value]],
        turns: asyncio.Semaphore,
        patience_s: float,
        *,
        is_change: bool = False,
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
        self._asking.add(asking)
        asking.add_done_callback(self._forget)
        done, _ = await asyncio.wait({asking}, timeout=patience_s)
        if done:
            return asking.result()
        if is_change:
            raise StoreUnavailable(
                f"the change was not confirmed within {patience_s:g} s: it may still be made, so "
                "look before you try again"
            )
        # Not waited for: a connection that hangs takes its time to be given up.
        asking.cancel()
        raise StoreUnavailable(
            f"the database has not answered within {patience_s:g} s: try again, or see what it is "
            "busy with"
        )

    async def stop(self) -> None:
        """Ask no more."""
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _forget(self, asked: asyncio.Task[Any]) -> None:
        """Take note of how it ended, or asyncio would complain that nobody did."""
        self._asking.discard(asked)
        if not asked.cancelled():
            asked.exception()
