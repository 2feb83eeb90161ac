"""The database of the model test: the store under test, and a connection that looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from pacewheel import Config
from pacewheel.metrics import Metrics
from pacewheel.store import Store
from tests.conftest import execute

Value = TypeVar("Value")


class World:
    """The database under test, and a connection that looks at it and lets its time pass."""

    def __init__(self, dsn: str, runner: asyncio.Runner) -> None:
        self._runner = runner
        # Durability is not what is tested, and waiting for the disk would take half of the time.
        database = urlsplit(dsn).path.removeprefix("/")
        self.run(execute(dsn, f"ALTER DATABASE {database} SET synchronous_commit = off"))
        self.store = Store(dsn, config=Config(pool_max=2), metrics=Metrics())
        self.run(self.store.open())
        self.eye: asyncpg.Connection = self.run(asyncpg.connect(dsn))

    def run(self, work: Awaitable[Value]) -> Value:
        """Run to the end."""

        async def wait() -> Value:
            return await work

        return self._runner.run(wait())

    def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Look at the database."""
        return self.run(self.eye.fetch(query, *args))

    def execute(self, *statements: str) -> None:
        """Change it by hand."""
        for statement in statements:
            self.run(self.eye.execute(statement))

    def close(self) -> None:
        """Leave it."""
        self.run(self.eye.close())
        self.run(self.store.close())
