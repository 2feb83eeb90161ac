"""A server behind PgBouncer, and engines that reach it only that way."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from pacewheel import Config, Engine
from pacewheel.store import migrate
from tests.conftest import execute
from tests.own_server import OwnServer
from tests.pgbouncer import PgBouncer, find

# Fewer than an engine uses, so that its statements wander over all of them.
POOL_SIZE = 3
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def behind() -> Iterator[tuple[OwnServer, PgBouncer]]:
    """The server and the pooler before it."""
    find()
    with ExitStack() as stack:
        server = OwnServer()
        stack.callback(server.close)
        server.start()
        pooler = PgBouncer(server, POOL_SIZE)
        stack.callback(pooler.close)
        yield server, pooler


@pytest.fixture
def pooler(behind: tuple[OwnServer, PgBouncer]) -> PgBouncer:
    """The pooler."""
    return behind[1]


@pytest.fixture
async def empty_dsn(behind: tuple[OwnServer, PgBouncer]) -> AsyncIterator[str]:
    """An empty database on the server, reached directly: for what a test asks, not for an engine."""
    server, _ = behind
    name = f"work_{next(_numbers)}"
    await execute(server.dsn(), f"CREATE DATABASE {name}")
    yield server.dsn(database=name)
    await execute(server.dsn(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def dsn(empty_dsn: str) -> str:
    """The same, migrated."""
    await migrate(empty_dsn, "pacewheel")
    return empty_dsn


@pytest.fixture
def engines_through_it(pooler: PgBouncer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead every engine through the pooler, whatever DSN it is given."""
    plain = Engine.__init__

    def init(self: Engine, dsn: str, *, config: Config | None = None) -> None:
        plain(self, pooler.through(dsn), config=replace(config or Config(), pooler=True))

    monkeypatch.setattr(Engine, "__init__", init)
