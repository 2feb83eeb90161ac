"""Real PostgreSQL for every test: the embedded server once a session, a database of its own a test.

A test's database is a copy of a migrated template, so it costs some hundredths of a second and
needs no cleaning. The server bears the kill of its processes, but no loss of power: it syncs
nothing, and lies in memory where there is room (`scratch`).
Property tests run by the profile `fast`, or `slow` by HYPOTHESIS_PROFILE=slow.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from pacewheel import embedded
from pacewheel.store import migrate
from tests.scratch import scratch

# Tests may run in several processes, which share the server that TEST_DSN names.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
TEMPLATE = f"pacewheel_template_{_WORKER}"
_numbers = itertools.count(1)

# No deadline, and nothing is too slow: a shared machine may stop for longer than any example takes.
settings.register_profile(
    "fast",
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "slow",
    settings.get_profile("fast"),
    max_examples=1_000,
    stateful_step_count=100,
    derandomize=False,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

# Long for a machine that has other things to do, and less than the minute until a sweep mends all.
UNTIL_S = 45.0

LOGGERS = ("pacewheel", "asyncio", "aiohttp")

SERVER_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "256MB",
}

# Short beats, and a lease that no busy machine loses.
PROMPT = {"heartbeat_s": 0.25, "sweep_s": 1.0}

# What starts within `until` was told of: beats and sweeps come later.
BY_HINTS_ALONE = {"heartbeat_s": 60.0, "lease_ttl_s": 300.0, "sweep_s": 3600.0}

# Leases short enough to expire within a test.
FAST = {"lease_ttl_s": 2.0, "heartbeat_s": 0.25, "lease_margin_s": 0.5, "sweep_s": 1.0}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files and end with the shortest, so that all processes end together.

    Whole files are given out in this order: tests of many processes first, unit tests last.
    """
    items.sort(key=lambda item: not item.nodeid.startswith("tests/processes/"))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test by no bytes: what was packed at its start holds the time, and each process another."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what a command in this process has set, for the whole module too: others look at logs."""
    _reset_logging()
    yield
    _reset_logging()


def _reset_logging() -> None:
    for logger in map(logging.getLogger, LOGGERS):
        for handler in logger.handlers:
            handler.close()
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)


def with_database(dsn: str, name: str) -> str:
    """Return the DSN of another database on the same server."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(path=f"/{name}"))


async def execute(dsn: str, *statements: str) -> None:
    """Run statements one after another, each in its own transaction."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fetch(dsn: str, query: str, *args: object) -> list[asyncpg.Record]:
    """Run one query and return its rows."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query, *args)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """The session's server: the one that TEST_DSN names, or an embedded one."""
    given = os.environ.get("TEST_DSN")
    if given:
        yield given
        return
    place = scratch()
    config = embedded.EmbeddedConfig(data_dir=place / "data", settings=SERVER_SETTINGS)
    with embedded.acquire(config) as use:
        yield use.dsn
    embedded.stop(config, force=True)
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def template(server_dsn: str) -> str:
    """The name of a database that has been migrated."""

    async def prepare() -> None:
        await execute(server_dsn, f"CREATE DATABASE {TEMPLATE}")
        await migrate(with_database(server_dsn, TEMPLATE), "pacewheel")

    asyncio.run(prepare())
    return TEMPLATE


@pytest.fixture
async def dsn(server_dsn: str, template: str) -> AsyncIterator[str]:
    """A migrated database of the test's own."""
    name = f"test_{_WORKER}_{next(_numbers)}"
    await execute(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield with_database(server_dsn, name)
    await execute(server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def empty_dsn(server_dsn: str) -> AsyncIterator[str]:
    """An empty database of the test's own, not migrated."""
    name = f"test_{_WORKER}_{next(_numbers)}"
    await execute(server_dsn, f"CREATE DATABASE {name}")
    yield with_database(server_dsn, name)
    await execute(server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], *, timeout_s: float = UNTIL_S
) -> None:
    """Wait until the condition holds; fail with its name when it does not within the time."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(
                f"not within {timeout_s:g} s: {getattr(condition, '__qualname__', condition)}"
            )
        await asyncio.sleep(0.02)


async def waits_for_a_lock(dsn: str) -> bool:
    """Tell whether a statement in this database waits for a lock."""
    waiting = await fetch(
        dsn,
        "SELECT FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()",
    )
    return bool(waiting)
