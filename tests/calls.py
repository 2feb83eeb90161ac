"""Statements as the server counted them."""

from __future__ import annotations

import asyncpg
import pytest

from tests.conftest import execute, fetch


async def count_from_now(dsn: str) -> None:
    """Start counting in this database; skip the test where the server can't."""
    try:
        await execute(dsn, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        await fetch(dsn, "SELECT count(*) FROM pg_stat_statements")
    except asyncpg.PostgresError as error:
        pytest.skip(f"the server counts no statements: {error}")
    await fetch(
        dsn,
        "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database"
        " WHERE datname = current_database()",
    )


async def calls(dsn: str, like: str = "%") -> dict[str, int]:
    """Return how often each statement ran that is like this, those of tests left out."""
    rows = await fetch(
        dsn,
        "SELECT s.query, s.calls FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
        " WHERE d.datname = current_database() AND s.query LIKE $1"
        " AND s.query NOT LIKE '%pg_stat_statements%' ORDER BY s.calls DESC",
        like,
    )
    return {row["query"]: row["calls"] for row in rows}
