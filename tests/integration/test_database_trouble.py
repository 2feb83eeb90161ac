"""A database that can't be reached or refuses: one line, one exit code, and in time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from pacewheel import Engine
from pacewheel.errors import StoreError, StoreUnavailable
from pacewheel.store import migrate
from pacewheel.store.pool import WorkPool, connect
from tests.commands import ran
from tests.conftest import execute, fetch
from tests.own_server import PASSWORD, OwnServer, free_port, running

EXIT_STORE = 3


def command(dsn: str, *words: str) -> subprocess.Popen[str]:
    """Start the command line on a database."""
    return subprocess.Popen(
        [sys.executable, "-m", "pacewheel", *words, "--dsn", dsn],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refusal(process: subprocess.Popen[str], timeout_s: float = 60.0) -> str:
    """Return the one line that a command ended with, having checked that it is one and code 3."""
    output, errors = process.communicate(timeout=timeout_s)
    assert (EXIT_STORE, "", 1) == (process.returncode, output, errors.count("\n")), errors
    assert errors.startswith("pacewheel: ")
    assert "Traceback" not in errors
    assert PASSWORD not in errors
    return errors


def success(process: subprocess.Popen[str], timeout_s: float = 60.0) -> str:
    """Return what a command printed that ended well, without a word on stderr."""
    output, errors = process.communicate(timeout=timeout_s)
    assert (0, "") == (process.returncode, errors)
    return output


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server with passwords, on TCP."""
    with running(max_connections="12", superuser_reserved_connections="3") as own:
        yield own


@pytest.mark.parametrize(
    ("user", "password", "database", "said"),
    [
        ("owner", "wrong-one", "postgres", "refused the login (password authentication failed"),
        ("nobody_here", PASSWORD, "postgres", "refused the login (password authentication failed"),
        ("owner", PASSWORD, "nowhere", 'no such database at 127.0.0.1:{port}/nowhere (database "'),
    ],
    ids=["wrong password", "unknown user", "unknown database"],
)
def test_a_login_that_is_refused_says_what_to_check(
    server: OwnServer, user: str, password: str, database: str, said: str
) -> None:
    """User, password and database: each has its own line, without the password."""
    line = refusal(command(server.dsn(user, password, database), "jobs"))
    assert said.format(port=server.port) in line
    assert password not in line


def test_a_port_where_nothing_listens_is_told() -> None:
    """With what to check."""
    port = free_port()
    line = refusal(command(f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/db", "jobs"))
    assert f"database 127.0.0.1:{port}/db can't be reached" in line
    assert "check that it runs" in line


def test_a_host_that_does_not_resolve_is_told() -> None:
    """The name stands in the line."""
    line = refusal(command("postgresql://u@no-such-host.invalid/db", "jobs"))
    assert "database no-such-host.invalid/db can't be reached" in line


def test_a_dsn_that_the_driver_refuses_is_told() -> None:
    """What is wrong with it stands in the line."""
    line = refusal(command("postgresql://u@127.0.0.1/db?sslmode=perhaps", "jobs"))
    assert "database 127.0.0.1/db can't be reached (`sslmode`" in line
    assert "that the DSN is right" in line


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@contextlib.contextmanager
def full_port() -> Iterator[int]:
    """A port whose queue is full: the kernel drops further connections, as an unreachable host does."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listening.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


async def test_a_server_that_never_answers_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether it takes the connection and is silent, or drops it like an unreachable host.

    The kernel would go on for two minutes with the one, for ever with the other.
    """
    monkeypatch.setattr("pacewheel.store.pool.CONNECT_TIMEOUT_S", 0.5)
    with silent_port() as silent, full_port() as full:
        for port in (silent, full):
            began_s = time.monotonic()
            code, out, line = await ran("jobs", "--dsn", f"postgresql://u@127.0.0.1:{port}/db")
            assert (EXIT_STORE, "") == (code, out)
            assert f"database 127.0.0.1:{port}/db can't be reached" in line
            assert 0.45 < time.monotonic() - began_s < 60


async def test_a_server_without_free_connections_says_so(server: OwnServer) -> None:
    """The line names pool_max and max_connections; when one is free again, the same works."""
    await execute(
        server.dsn(),
        f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'",
        "CREATE SCHEMA guests AUTHORIZATION guest",
    )
    held: list[asyncpg.Connection] = []
    try:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while len(held) < 20:
                held.append(await asyncpg.connect(server.dsn("guest")))
        assert 0 < len(held) < 20
        words = ("jobs", "--schema", "guests")
        line = await asyncio.to_thread(refusal, command(server.dsn("guest"), *words))
        assert "has no connection slots left: lower pool_max or raise max_connections" in line
    finally:
        for connection in held:
            await connection.close()
    await asyncio.to_thread(success, command(server.dsn("guest"), *words))


async def test_a_read_only_database_is_told_and_can_be_read(empty_dsn: str) -> None:
    """Without a schema nothing can be made; with one, jobs are listed, but no engine starts."""
    name = urlsplit(empty_dsn).path.strip("/")
    await execute(empty_dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    line = await asyncio.to_thread(refusal, command(empty_dsn, "migrate"))
    assert "is read-only (a standby?): point the DSN at the primary" in line
    await execute(
        empty_dsn, "SET default_transaction_read_only = off", f"ALTER DATABASE {name} RESET ALL"
    )
    await migrate(empty_dsn, "pacewheel")
    await execute(empty_dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "no live jobs" in await asyncio.to_thread(success, command(empty_dsn, "jobs"))
    with pytest.raises(StoreUnavailable, match="is read-only"):
        await Engine(empty_dsn).start()
    # What was opened before the refusal is closed again.
    assert [] == await fetch(
        empty_dsn,
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'pacewheel'"
        " AND datname = current_database()",
    )


async def test_a_database_that_takes_no_connections_is_waited_for(
    empty_dsn: str, server_dsn: str
) -> None:
    """`ALTER DATABASE ... ALLOW_CONNECTIONS false`, as for maintenance: the server refuses by an odd SQLSTATE."""
    name = urlsplit(empty_dsn).path.removeprefix("/")
    await execute(server_dsn, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    pool = WorkPool(empty_dsn, size_max=1, pooler=False)
    for ask in (lambda: connect(empty_dsn), pool.open, lambda: pool.fetch("SELECT 1")):
        with pytest.raises(StoreUnavailable, match="not currently accepting connections"):
            await ask()
    await execute(server_dsn, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert [(1,)] == [tuple(row) for row in await pool.fetch("SELECT 1")]
    await pool.close()


async def test_a_deadlock_is_run_again_until_both_are_done(dsn: str) -> None:
    """Two transactions that lock two rows in opposite order both take effect; one ran twice."""
    name = urlsplit(dsn).path.strip("/")
    await execute(
        dsn,
        f"ALTER DATABASE {name} SET deadlock_timeout = '50ms'",
        "CREATE TABLE counters (id integer PRIMARY KEY, n integer NOT NULL)",
        "INSERT INTO counters VALUES (1, 0), (2, 0)",
    )
    pool = WorkPool(dsn, size_max=4, pooler=False)
    await pool.open()
    both_hold_one = asyncio.Barrier(2)
    one_done = asyncio.Event()
    attempts: list[int] = []

    async def add_to_both(first: int) -> None:
        async def work(connection: asyncpg.Connection) -> None:
            attempts.append(first)
            again = len(attempts) > 2
            # A quick second try may take its row before the other has woken up, and meet it again.
            if again:
                await one_done.wait()
            async with connection.transaction():
                add = "UPDATE counters SET n = n + 1 WHERE id = $1"
                await connection.execute(add, first)
                if not again:
                    await both_hold_one.wait()
                await connection.execute(add, 3 - first)

        await pool.run(work)
        one_done.set()

    try:
        await asyncio.wait_for(asyncio.gather(add_to_both(1), add_to_both(2)), 60)
    finally:
        await pool.close()
    rows = await fetch(dsn, "SELECT n FROM counters")
    assert [2, 2] == [row["n"] for row in rows]
    assert 3 == len(attempts)


async def test_a_serialization_failure_is_run_again(dsn: str) -> None:
    """A row changed under a repeatable read: the second try sees the change and succeeds."""
    await execute(dsn, "CREATE TABLE counters (n integer)", "INSERT INTO counters VALUES (0)")
    pool = WorkPool(dsn, size_max=2, pooler=False)
    await pool.open()
    seen: list[int] = []

    async def work(connection: asyncpg.Connection) -> None:
        async with connection.transaction(isolation="repeatable_read"):
            seen.append(await connection.fetchval("SELECT n FROM counters"))
            if len(seen) == 1:
                await execute(dsn, "UPDATE counters SET n = 10")
            await connection.execute("UPDATE counters SET n = n + 1")

    try:
        await pool.run(work)
    finally:
        await pool.close()
    assert [0, 10] == seen
    assert [11] == [row["n"] for row in await fetch(dsn, "SELECT n FROM counters")]


async def test_a_value_that_the_driver_refuses_is_not_taken_for_an_absent_database(
    dsn: str,
) -> None:
    """Waiting would not help: the error is the statement's, and the connection stays in use."""
    pool = WorkPool(dsn, size_max=1, pooler=False)
    await pool.open()
    try:
        backend = await pool.fetchrow("SELECT pg_backend_pid()")
        with pytest.raises(StoreError, match=r"failed a statement .*out of int16 range") as caught:
            await pool.fetch("SELECT $1::smallint", 70_000)
        assert not isinstance(caught.value, StoreUnavailable)
        assert backend == await pool.fetchrow("SELECT pg_backend_pid()")
    finally:
        await pool.close()


async def test_an_internal_error_of_the_driver_is_taken_for_a_lost_connection(dsn: str) -> None:
    """It is what a statement may meet on a connection that goes away; the next gets a new connection."""
    pool = WorkPool(dsn, size_max=1, pooler=False)
    await pool.open()

    async def meet(_connection: asyncpg.Connection) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 12")

    try:
        backend = await pool.fetchrow("SELECT pg_backend_pid()")
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await pool.run(meet)
        assert backend != await pool.fetchrow("SELECT pg_backend_pid()")
    finally:
        await pool.close()
