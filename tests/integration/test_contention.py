"""Everything at once on a few jobs and domains: no deadlock, and every invariant at the end."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from pacewheel import Engine
from pacewheel.store import queries
from tests.conftest import execute, fetch, until
from tests.integration import contention
from tests.integration.counted_jobs import is_clean, reconciled

SECONDS = 5.0


@pytest.fixture
async def quick_dsn(dsn: str) -> str:
    """The test's database, in which a deadlock is found at once and no commit waits for the disk."""
    name = urlsplit(dsn).path.removeprefix("/")
    await execute(
        dsn,
        f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'",
        f"ALTER DATABASE {name} SET synchronous_commit = off",
    )
    return dsn


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The statements of the store, to be broken."""
    kept = dict(queries.load_queries())
    monkeypatch.setattr("pacewheel.store.load_queries", lambda _schema: kept)
    return kept


async def deadlocks(dsn: str) -> int:
    """How many deadlocks the server has counted in this database, once all connections have told."""

    async def alone() -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        return (await fetch(dsn, query))[0][0] == 1

    await until(alone)
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    number: int = (await fetch(dsn, query))[0][0]
    return number


async def test_everything_at_once_makes_no_deadlock_and_no_drift(quick_dsn: str) -> None:
    """On twelve live jobs of six domains that change owners all the time."""
    arena = await contention.contend(quick_dsn, SECONDS, seed=1)
    assert 0 == await deadlocks(quick_dsn)
    assert [] == arena.found
    names = {"work"} | {name for name, _, _ in contention.OPERATIONS}
    assert names == arena.done.keys()
    assert 30 < arena.done["work"], arena.done

    engine = Engine(quick_dsn)
    await engine.connect()
    assert is_clean(await reconciled(engine))
    await engine.close()
    (row,) = await fetch(
        quick_dsn,
        "SELECT count(*) FILTER (WHERE total <> pending + waiting + completed + failed + skipped + cancelled),"
        " count(*) FILTER (WHERE status >= 3 AND pending + waiting > 0),"
        " count(*) FILTER (WHERE (status >= 3) <> (finished_at IS NOT NULL)),"
        " count(*) FILTER (WHERE status >= 3) > 0 FROM pacewheel.jobs",
    )
    assert [0, 0, 0, True] == list(row)
    (row,) = await fetch(
        quick_dsn,
        "SELECT count(*) FILTER (WHERE status < 2 AND (waiting_reason IS NOT NULL) <> (status = 1)),"
        " count(*) FILTER (WHERE (status > 2) <> (finished_at IS NOT NULL)),"
        " (SELECT count(*) FROM pacewheel.task_states WHERE (state IN ('pending', 'waiting'))"
        " <> (waiting_reason IS NOT NULL)) FROM pacewheel.tasks",
    )
    assert [0, 0, 0] == list(row)
    rows = await fetch(
        quick_dsn,
        "SELECT task_id, attempt FROM pacewheel.results GROUP BY 1, 2 HAVING count(*) > 1",
    )
    assert [] == rows, "an attempt was settled twice"


async def test_the_contention_shows_a_broken_lock_order(
    quick_dsn: str, statements: dict[str, str]
) -> None:
    """When settles lock their jobs from the highest id down, the server counts deadlocks."""
    text = statements["settle_tasks"]
    assert 1 == text.count("ORDER BY j.id\n")
    statements["settle_tasks"] = text.replace("ORDER BY j.id\n", "ORDER BY j.id DESC\n")
    await contention.contend(quick_dsn, SECONDS / 2, seed=2)
    assert 0 < await deadlocks(quick_dsn)
