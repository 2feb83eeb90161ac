"""Migrations: bring a schema from any earlier version to this code's.

A schema that is newer than the code is refused.

One transaction holds a lock named after the schema, so that two processes migrating at once end
with one set of tables and no error; what fails leaves nothing behind. `check` only reads.
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from pacewheel.errors import SchemaMismatch, StoreError
from pacewheel.store.faults import DRIVER_ERRORS, safe_dsn, translate
from pacewheel.store.pool import connect
from pacewheel.store.queries import for_schema, load_queries, sql_root

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

SERVER_VERSION_MIN = 14
PARTITIONS_AHEAD_DAYS = 3
_INCLUDE = re.compile(r"^include queries/(\w+)\.sql$", re.MULTILINE)
_NAME = re.compile(r"^(\d{4})_(?:pre|post)_([a-z0-9_]+)\.up\.sql$")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, its name and its SQL."""

    version: int
    name: str
    sql: str


def shipped(schema: str) -> list[Migration]:
    """Return the migrations this code carries, in order."""
    found = []
    for entry in (sql_root() / "migrations").iterdir():
        match = _NAME.match(entry.name)
        if match:
            found.append(
                Migration(int(match[1]), match[2], for_schema(entry.read_text("utf-8"), schema))
            )
    return sorted(found, key=lambda migration: migration.version)


def shipped_functions(schema: str) -> list[str]:
    """Return what makes the functions for callers in SQL anew, each from its one file.

    A line `include queries/<name>.sql` in a function's body stands for that statement.
    """
    queries = load_queries(schema)
    files = sorted((sql_root() / "functions").iterdir(), key=lambda entry: entry.name)
    return [
        _INCLUDE.sub(lambda match: queries[match[1]], for_schema(entry.read_text("utf-8"), schema))
        for entry in files
    ]


async def _applied(connection: asyncpg.Connection, schema: str) -> list[int]:
    queries = load_queries(schema)
    if not await connection.fetchval(queries["find_migrations"]):
        return []
    return [row["version"] for row in await connection.fetch(queries["list_migrations"])]


def _refuse_unknown(applied: Sequence[int], steps: Sequence[Migration], where: str) -> None:
    known = steps[-1].version
    if applied and applied[-1] > known:
        message = (
            f"the schema in {where} is at version {applied[-1]}, newer than this pacewheel knows ({known}): "
            "upgrade pacewheel"
        )
        raise SchemaMismatch(message)


def _refuse_old_server(connection: asyncpg.Connection, where: str) -> None:
    version = connection.get_server_version()
    if version.major < SERVER_VERSION_MIN:
        message = (
            f"the server at {where} is PostgreSQL {version.major}; pacewheel needs {SERVER_VERSION_MIN} or newer: "
            "upgrade it or use another DSN"
        )
        raise SchemaMismatch(message)


@asynccontextmanager
async def _session(dsn: str, *, pooler: bool) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(dsn, pooler=pooler)
    try:
        _refuse_old_server(connection, safe_dsn(dsn))
        yield connection
    except DRIVER_ERRORS as error:
        raise translate(error, dsn) from error
    finally:
        await connection.close()


async def pending(dsn: str, schema: str, *, pooler: bool = False) -> list[Migration]:
    """Return the migrations the database still lacks; changes nothing.

    Raises:
        SchemaMismatch: the schema is newer than this code, or the server too old.
        StoreError: the right to read the schema is missing.
        StoreUnavailable: the database can't be reached.
    """
    async with _session(dsn, pooler=pooler) as connection:
        return await _missing(connection, schema, safe_dsn(dsn))


async def _missing(connection: asyncpg.Connection, schema: str, where: str) -> list[Migration]:
    applied = await _applied(connection, schema)
    steps = shipped(schema)
    _refuse_unknown(applied, steps, where)
    return [step for step in steps if step.version not in applied]


async def migrate(dsn: str, schema: str, *, pooler: bool = False) -> list[Migration]:
    """Apply what is missing, in one transaction; return what was applied.

    Raises:
        SchemaMismatch: the schema is newer than this code, or the server too old.
        StoreError: a right is missing (the transaction is rolled back).
        StoreUnavailable: the database can't be reached.
    """
    where = safe_dsn(dsn)
    async with _session(dsn, pooler=pooler) as connection:
        if not await _missing(connection, schema, where):
            return []
        try:
            async with connection.transaction():
                return await _apply(connection, schema, where)
        except asyncpg.InsufficientPrivilegeError as error:
            message = (
                f"the DSN's user may not create schema {schema} in {where} ({error}): grant CREATE on "
                "the database, or migrate once as a user that may"
            )
            raise StoreError(message) from error


async def _apply(connection: asyncpg.Connection, schema: str, where: str) -> list[Migration]:
    queries = load_queries(schema)
    await connection.execute(queries["lock_migrations"])
    bootstrap = (sql_root() / "bootstrap.sql").read_text("utf-8")
    await connection.execute(for_schema(bootstrap, schema))
    # Asked again under the lock: another process may have migrated meanwhile.
    missing = await _missing(connection, schema, where)
    for step in missing:
        await connection.execute(step.sql)
        await connection.execute(queries["add_migration"], step.version, step.name)
    for text in shipped_functions(schema):
        await connection.execute(text)
    await connection.execute(queries["ensure_partitions"], PARTITIONS_AHEAD_DAYS)
    return missing
