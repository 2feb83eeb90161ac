"""`pacewheel doctor` on a real server: what is damaged is found, by whoever asks, and nothing is changed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from pacewheel import Engine, NewTask, embedded
from pacewheel.doctor import storage
from pacewheel.store.migrate import migrate
from tests.commands import NO_SERVER, ran
from tests.conftest import execute, fetch, with_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TEMPLATE = "examined_template"
TODAY = "to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"
ROLE = "ordinary_role"


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server as users have it, with a migrated database: that of the other tests syncs nothing."""
    config = embedded.EmbeddedConfig(data_dir=tmp_path_factory.mktemp("synced") / "postgres")
    with embedded.acquire(config) as use:
        asyncio.run(execute(use.dsn, f"CREATE DATABASE {TEMPLATE}"))
        asyncio.run(migrate(with_database(use.dsn, TEMPLATE), "pacewheel"))
        yield use.dsn


@pytest.fixture
async def empty_dsn(synced: str) -> AsyncIterator[str]:
    """An empty database on it."""
    await execute(synced, "CREATE DATABASE examined")
    yield with_database(synced, "examined")
    await execute(synced, "DROP DATABASE examined WITH (FORCE)")


@pytest.fixture
async def dsn(synced: str) -> AsyncIterator[str]:
    """A migrated one."""
    await execute(synced, f"CREATE DATABASE examined TEMPLATE {TEMPLATE}")
    yield with_database(synced, "examined")
    await execute(synced, "DROP DATABASE examined WITH (FORCE)")


async def findings(dsn: str, code: int, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """Examine; return what is not ok, by check."""
    ended, out, err = await ran("doctor", "--json", "--dsn", dsn, *arguments)
    assert (code, "") == (ended, err), out
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(out)["findings"]:
        if each["level"] != "ok":
            found.setdefault(each["check"], []).append(each)
    return found


async def test_a_fresh_installation_is_healthy(dsn: str) -> None:
    """Nothing to mend, in words and as JSON."""
    assert {} == await findings(dsn, 0)
    code, out, err = await ran("doctor", "--dsn", dsn)
    assert (0, "") == (code, err)
    assert out.startswith("ok       server           PostgreSQL ")
    assert "ok       hints            one sent to ourselves came after " in out
    assert out.endswith(" ok, 0 warning, 0 failing")


async def test_damage_is_found_and_named(
    dsn: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index invalid, one gone, a session in the way, rows by default, orphans, drift, no handler."""
    monkeypatch.setattr(storage, "HELD_WARNING_S", 0.0)
    for domain in ("a.example", "b.example"):
        await engine.create_job(domain=domain, handler="h", tasks=[NewTask("t")])
    await execute(
        dsn,
        "UPDATE pacewheel.jobs SET status = 5 WHERE id = 1",
        "UPDATE pacewheel.jobs SET completed = 3 WHERE id = 2",
        "UPDATE pacewheel.domains SET in_flight = '{1}' WHERE id = 1",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pacewheel.tasks_failed'::regclass",
        "DROP INDEX pacewheel.jobs_unreconciled",
        "ALTER TABLE pacewheel.documents DROP COLUMN body",
        "INSERT INTO pacewheel.results (finished_at, domain_id, job_id, task_id, worker_id, duration_ms,"
        " attempt, outcome) VALUES ('2001-01-01', 1, 1, 1, 1, 1, 1, 3)",
    )
    other = await asyncpg.connect(dsn, server_settings={"application_name": "forgotten"})
    try:
        await other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await other.execute("SELECT FROM pacewheel.jobs")
        found = await findings(dsn, 1)
        pid = other.get_server_pid()
    finally:
        await other.close()
    assert {"indexes", "schema", "vacuum", "partitions", "left behind", "workers"} == {*found}
    assert "pacewheel.tasks_failed on tasks is invalid" == found["indexes"][0]["words"]
    lacks = "lacks relation jobs_unreconciled, column documents.body"
    assert lacks == found["schema"][0]["words"]
    (held,) = found["vacuum"]
    assert f"held back by session forgotten (pid {pid}, role " in held["words"]
    assert "idle in transaction" in held["words"]
    assert f"pg_terminate_backend({pid})" in held["next_step"]
    assert "the default partition has rows" == found["partitions"][0]["words"]
    assert [
        "jobs 1 have live tasks and are final or missing",
        "jobs 2 have counters that differ from their tasks",
        "domains 1 have tasks in flight and no owner",
    ] == [each["words"] for each in found["left behind"]]
    assert "no living process has the handler h" == found["workers"][0]["words"]


async def test_days_without_a_partition_are_found(dsn: str) -> None:
    """Nobody has made them lately."""
    days = await fetch(
        dsn,
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        f" WHERE inhparent = 'pacewheel.results'::regclass AND c.relname > 'results_' || {TODAY}"
        " AND c.relname <> 'results_default'",
    )
    await execute(dsn, *(f"DROP TABLE pacewheel.{row['relname']}" for row in days))
    assert ["partitions"] == [*await findings(dsn, 7)]
    await execute(dsn, f"DO $$ BEGIN EXECUTE 'DROP TABLE pacewheel.results_' || {TODAY}; END $$")
    (found,) = (await findings(dsn, 1))["partitions"]
    assert "there is none for today's results" == found["words"]


async def test_an_unfit_schema_is_a_finding_and_stays_as_it_is(empty_dsn: str) -> None:
    """None, an older one and a newer one each end with 4, as every command does."""
    (found,) = (await findings(empty_dsn, 4))["schema"]
    assert "there is none" == found["words"]
    (gone,) = await fetch(empty_dsn, "SELECT to_regnamespace('pacewheel') IS NULL AS gone")
    assert gone["gone"]
    await migrate(empty_dsn, "pacewheel")
    latest = "(SELECT max(version) FROM pacewheel.migrations)"
    await execute(empty_dsn, f"DELETE FROM pacewheel.migrations WHERE version = {latest}")
    await execute(empty_dsn, "DROP TABLE pacewheel.schedules")
    (found,) = (await findings(empty_dsn, 4))["schema"]
    assert "pacewheel migrate" in found["next_step"]
    await execute(
        empty_dsn, "INSERT INTO pacewheel.migrations (version, name) VALUES (9999, 'later')"
    )
    (found,) = (await findings(empty_dsn, 4))["schema"]
    assert "version 9999 is newer than this pacewheel knows" in found["words"]


@pytest.fixture
async def ordinary(dsn: str) -> AsyncIterator[str]:
    """The DSN of a role that may work on the tables and owns nothing."""
    await execute(
        dsn,
        f"CREATE ROLE {ROLE} LOGIN",
        f"GRANT USAGE ON SCHEMA pacewheel TO {ROLE}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pacewheel TO {ROLE}",
    )
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    yield urlunsplit(parts._replace(netloc=f"{ROLE}@{host}"))
    await execute(dsn, f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")


async def test_an_ordinary_role_learns_what_it_may_not_do(ordinary: str, dsn: str) -> None:
    """It may work; it may make no partitions and sees nobody's sessions; without a right it is told."""
    found = await findings(ordinary, 7)
    assert ["rights"] == [*found]
    assert [
        f"role {ROLE} does not own the tables, or may create none",
        f"role {ROLE} does not see other roles' sessions",
    ] == [each["words"] for each in found["rights"]]
    await execute(dsn, f"REVOKE UPDATE ON pacewheel.tasks FROM {ROLE}")
    refused = (await findings(ordinary, 1))["rights"]
    assert f"role {ROLE} may not read and write tasks" == refused[0]["words"]
    await execute(dsn, f"REVOKE USAGE ON SCHEMA pacewheel FROM {ROLE}")
    refused = (await findings(ordinary, 1))["rights"]
    assert f"role {ROLE} may not use the schema" == refused[0]["words"]


async def test_a_server_that_is_away_is_a_finding() -> None:
    """On standard output, as all others, and the exit code says it too; no password is shown."""
    found = await findings(NO_SERVER, 3)
    assert "can't be reached" in found["server"][0]["words"]
    _, out, _ = await ran("doctor", "--dsn", NO_SERVER)
    assert out.startswith("failing  server ")
    assert "sesame" not in out
