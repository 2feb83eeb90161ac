"""Migrations: from nothing to now and back, by several at once, halfway, and without the rights."""

from __future__ import annotations

import asyncio
import importlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from pacewheel import Engine, NewTask
from pacewheel.errors import SchemaMismatch, StoreError
from pacewheel.store import migrate, pending
from pacewheel.store.migrate import Migration, shipped
from pacewheel.store.queries import for_schema, sql_root
from tests.conftest import execute, fetch
from tests.schema_dump import SCHEMA_FILE, dump

# `pacewheel.store.migrate` as an attribute is the function.
migrate_module = importlib.import_module("pacewheel.store.migrate")
NEWEST = shipped("pacewheel")[-1].version


async def relations(dsn: str, schema: str = "pacewheel") -> set[str]:
    """Return what a schema holds: tables, views, sequences, indexes, functions."""
    rows = await fetch(
        dsn,
        "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace($1)"
        " UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = to_regnamespace($1)",
        schema,
    )
    return {row[0] for row in rows}


async def exists(dsn: str, schema: str = "pacewheel") -> bool:
    """Tell whether the schema is there."""
    rows = await fetch(dsn, "SELECT to_regnamespace($1) IS NOT NULL", schema)
    return bool(rows[0][0])


async def versions(dsn: str) -> list[int]:
    """Return the migrations that are noted."""
    rows = await fetch(dsn, "SELECT version FROM pacewheel.migrations ORDER BY version")
    return [row["version"] for row in rows]


def as_user(dsn: str, user: str) -> str:
    """Return the DSN for another user."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))


def command(dsn: str, *words: str) -> subprocess.Popen[str]:
    """Start the command line on a database."""
    return subprocess.Popen(
        [sys.executable, "-m", "pacewheel", *words, "--dsn", dsn],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_an_empty_database_is_brought_to_the_newest_version_once(empty_dsn: str) -> None:
    """The first run applies all, the second nothing; pending says the same without changing anything."""
    assert [step.version for step in shipped("pacewheel")] == [
        step.version for step in await pending(empty_dsn, "pacewheel")
    ]
    assert not await exists(empty_dsn)
    applied = await migrate(empty_dsn, "pacewheel")
    assert list(range(1, NEWEST + 1)) == [step.version for step in applied]
    made = await relations(empty_dsn)
    assert [] == await migrate(empty_dsn, "pacewheel")
    assert [] == await pending(empty_dsn, "pacewheel")
    assert made == await relations(empty_dsn)
    assert list(range(1, NEWEST + 1)) == await versions(empty_dsn)


@pytest.mark.parametrize("processes", [2, 4])
async def test_processes_that_migrate_at_once_make_one_schema(
    empty_dsn: str, processes: int
) -> None:
    """Real processes: none fails, one applies, the schema is whole."""
    started = [command(empty_dsn, "migrate") for _ in range(processes)]
    ended = [(process.communicate(timeout=60), process.returncode) for process in started]
    assert [("", 0)] * processes == [(errors, code) for (_, errors), code in ended]
    outputs = [output for (output, _), _ in ended]
    assert 1 == sum("applied 0001" in output for output in outputs)
    assert list(range(1, NEWEST + 1)) == await versions(empty_dsn)
    assert SCHEMA_FILE.read_text() == dump(empty_dsn)


async def test_the_snapshot_of_the_schema_is_current(dsn: str) -> None:
    """sql/schema.sql is what the migrations make; `python -m tests.schema_dump` writes it anew."""
    assert SCHEMA_FILE.read_text() == dump(dsn)


async def test_the_snapshot_makes_the_schema_that_it_shows(empty_dsn: str) -> None:
    """sql/schema.sql can be run, and gives the same schema again."""
    await execute(empty_dsn, SCHEMA_FILE.read_text())
    assert SCHEMA_FILE.read_text() == dump(empty_dsn)


async def test_a_newer_schema_is_refused_with_both_versions(dsn: str) -> None:
    """Neither migrate, nor pending, nor an engine touches what it does not know."""
    newer = NEWEST + 5
    await execute(dsn, f"INSERT INTO pacewheel.migrations VALUES ({newer}, 'of_tomorrow')")
    before = await relations(dsn)
    message = rf"version {newer}, newer than this pacewheel knows \({NEWEST}\)"
    for attempt in (migrate, pending):
        with pytest.raises(SchemaMismatch, match=message):
            await attempt(dsn, "pacewheel")
    with pytest.raises(SchemaMismatch, match=message):
        await Engine(dsn).connect()
    process = command(dsn, "jobs")
    output, errors = process.communicate(timeout=60)
    assert (4, "", 1) == (process.returncode, output, errors.count("\n"))
    assert re.search(message, errors)
    assert before == await relations(dsn)


async def test_a_server_that_is_too_old_is_refused(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version that the server tells of itself decides, before anything is made."""
    old = asyncpg.types.ServerVersion(13, 11, 0, "final", 0)
    monkeypatch.setattr(asyncpg.Connection, "get_server_version", lambda _self: old)
    for attempt in (migrate, pending):
        with pytest.raises(SchemaMismatch, match="PostgreSQL 13; pacewheel needs 14 or newer"):
            await attempt(empty_dsn, "pacewheel")
    monkeypatch.undo()
    assert not await exists(empty_dsn)


def add_failing_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a migration that makes a table and then fails."""
    broken = "CREATE TABLE pacewheel.half (id integer); SELECT 1 / 0;"
    steps = [*shipped("pacewheel"), Migration(NEWEST + 1, "broken", broken)]
    monkeypatch.setattr(migrate_module, "shipped", lambda _schema: steps)


async def test_a_migration_that_fails_halfway_leaves_an_empty_database_empty(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps before it are undone too: all or nothing."""
    add_failing_step(monkeypatch)
    with pytest.raises(StoreError, match="division by zero"):
        await migrate(empty_dsn, "pacewheel")
    assert not await exists(empty_dsn)
    monkeypatch.undo()
    assert NEWEST == len(await migrate(empty_dsn, "pacewheel"))


async def test_a_migration_that_fails_halfway_leaves_the_old_schema_working(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema stays at its version, with its data."""
    engine = Engine(dsn)
    await engine.connect()
    await engine.create_job(domain="a.example", handler="h", tasks=[NewTask("kept")])
    await engine.close()
    before = await relations(dsn)
    add_failing_step(monkeypatch)
    with pytest.raises(StoreError, match="division by zero"):
        await migrate(dsn, "pacewheel")
    assert before == await relations(dsn)
    assert list(range(1, NEWEST + 1)) == await versions(dsn)
    assert ["kept"] == [row[0] for row in await fetch(dsn, "SELECT target FROM pacewheel.tasks")]


async def test_the_down_migrations_bring_the_schema_back_to_nothing(empty_dsn: str) -> None:
    """Run from the newest to the first they leave only what the bootstrap made; up again works."""
    bootstrap = for_schema((sql_root() / "bootstrap.sql").read_text("utf-8"), "pacewheel")
    await execute(empty_dsn, bootstrap)
    nothing = await relations(empty_dsn)
    await migrate(empty_dsn, "pacewheel")
    whole = await relations(empty_dsn)
    assert nothing < whole
    folder = sql_root() / "migrations"
    names = sorted((e.name for e in folder.iterdir() if e.name.endswith(".down.sql")), reverse=True)
    assert NEWEST == len(names)
    await execute(empty_dsn, *((folder / name).read_text("utf-8") for name in names))
    assert nothing == await relations(empty_dsn)
    await execute(empty_dsn, "DELETE FROM pacewheel.migrations")
    await migrate(empty_dsn, "pacewheel")
    assert whole == await relations(empty_dsn)


@pytest.fixture
async def user(empty_dsn: str) -> AsyncIterator[str]:
    """A user who may connect and nothing more."""
    name = "user_of_" + urlsplit(empty_dsn).path.strip("/")
    await execute(empty_dsn, f"CREATE ROLE {name} LOGIN")
    yield name
    await execute(empty_dsn, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


async def test_a_user_without_create_is_told_so_and_can_use_a_schema_made_for_it(
    empty_dsn: str, user: str
) -> None:
    """The error names the right; nothing is left; in a schema of its own the user migrates and works."""
    dsn = as_user(empty_dsn, user)
    with pytest.raises(StoreError, match=r"may not create schema pacewheel .*: grant CREATE"):
        await migrate(dsn, "pacewheel")
    assert not await exists(empty_dsn)
    process = command(dsn, "migrate")
    output, errors = process.communicate(timeout=60)
    assert (3, "", 1) == (process.returncode, output, errors.count("\n"))
    assert "grant CREATE" in errors

    await execute(empty_dsn, f"CREATE SCHEMA pacewheel AUTHORIZATION {user}")
    assert NEWEST == len(await migrate(dsn, "pacewheel"))
    engine = Engine(dsn)

    @engine.handler("note")
    async def note(task: object) -> None: ...

    await engine.connect()
    job = await engine.create_job(
        domain="a.example", handler="note", tasks=[NewTask("a")], discovery_open=False
    )
    await asyncio.wait_for(engine.run_until_idle(), 60)
    rows = await fetch(empty_dsn, "SELECT completed FROM pacewheel.jobs WHERE id = $1", job.id)
    assert [1] == [row[0] for row in rows]


@pytest.mark.parametrize(
    ("grants", "said"),
    [
        ((), "permission denied for schema pacewheel"),
        (("GRANT USAGE ON SCHEMA pacewheel TO {user}",), "permission denied for table migrations"),
        (
            (
                "GRANT USAGE ON SCHEMA pacewheel TO {user}",
                "GRANT SELECT ON pacewheel.migrations TO {user}",
            ),
            "permission denied for view job_states",
        ),
    ],
    ids=["no usage of the schema", "no table", "migrations alone"],
)
async def test_a_right_that_is_missing_at_run_time_is_named(
    empty_dsn: str, user: str, grants: tuple[str, ...], said: str
) -> None:
    """One line with the relation and what to do, whichever right is missing; exit code 3."""
    await migrate(empty_dsn, "pacewheel")
    await execute(empty_dsn, *(grant.format(user=user) for grant in grants))
    for words in (("jobs",), ("migrate", "--status")):
        if words[0] == "migrate" and len(grants) == 2:
            continue  # who may read the migrations may ask for their status
        process = command(as_user(empty_dsn, user), *words)
        output, errors = process.communicate(timeout=60)
        assert (3, "", 1) == (process.returncode, output, errors.count("\n")), errors
        assert f"denies a right ({said}): grant it to the DSN's user" in errors
