"""The doctor's rules: what is as it should be says so; what is not says what follows and what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from pacewheel.doctor import Finding, Level, examine, worst
from pacewheel.doctor.facts import (
    Facts,
    Hints,
    Holder,
    Index,
    Partitions,
    Rights,
    Schema,
    Server,
    Table,
    Work,
)
from pacewheel.errors import StoreError, StoreUnavailable
from pacewheel.model import StuckJob, WaitingReason
from pacewheel.overview import SlowStatement, WorkerInfo, WorkerState

SETTINGS = {
    "autovacuum": "on",
    "track_counts": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "default_transaction_isolation": "read committed",
    "server_encoding": "UTF8",
    "synchronous_commit": "on",
    "statement_timeout": "0",
}
SERVER = Server(
    version=160_004,
    version_words="16.4",
    is_standby=False,
    role="me",
    sees_all=True,
    sessions=10,
    sessions_max=100,
    reserved=3,
    queue_usage=0.0,
    age=1000,
    settings=SETTINGS,
    clock_ahead_ms=-3.0,
    round_trip_ms=0.4,
)
WORKER = WorkerInfo(
    id=1,
    host="a",
    pid=7,
    version="1.0",
    state=WorkerState.ALIVE,
    handlers=["warm"],
    capacity=64,
    domains=1,
    running=1,
    connections=70,
    lease_in_ms=9000.0,
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    ended_at=None,
)
WORK = Work([WORKER], [], [], [], [], [], 3)
INDEX = Index(
    "s.tasks_claim", "tasks", is_valid=True, bytes=10**6, entries=1000.0, entry_bytes=50.0
)
TABLE = Table("s.tasks", 10**6, 1000, 100, 60.0)
SESSION = Holder("session", "psql", "ann", 4711, "idle in transaction", 600.0, 12, None)
PARTITIONS = Partitions(
    4,
    10**6,
    has_today=True,
    has_tomorrow=True,
    in_default=False,
    oldest=date(2026, 1, 1),
    today=date(2026, 1, 30),
)


def facts(**values: object) -> Facts:
    """Facts of an installation in order, but for what is given."""
    good = {
        "server": SERVER,
        "rights": Rights(may_use=True, may_create=True, owns=True, refused=[]),
        "schema": Schema(4, 4, []),
        "indexes": [INDEX],
        "tables": [TABLE],
        "holders": [],
        "partitions": PARTITIONS,
        "hints": Hints(1.5),
        "work": WORK,
    }
    return Facts(
        "db",
        "s",
        pooler=False,
        reserve=20,
        pool_max=70,
        least_each=4,
        results_keep_days=35,
        **(good | values),
    )  # type: ignore[arg-type]


def wrong(**values: object) -> list[Finding]:
    """The findings that are not ok."""
    return [each for each in examine(facts(**values)) if each.level is not Level.OK]


def server(**values: object) -> dict[str, object]:
    """Facts of a server that differs in this."""
    return {"server": replace(SERVER, **values)}  # type: ignore[arg-type]


def setting(name: str, value: str) -> dict[str, object]:
    """Facts of a server with another setting."""
    return server(settings=SETTINGS | {name: value})


def test_an_installation_in_order_has_nothing_to_mend() -> None:
    """Every check says what it saw."""
    found = examine(facts())
    assert [] == [each for each in found if each.level is not Level.OK]
    assert 15 == len({each.check for each in found})
    assert Level.OK is worst(found)


CASES = [
    (
        "an old server",
        server(version=130_011, version_words="13.11"),
        "failing",
        "server",
        "upgrade",
    ),
    ("a newer server", server(version=190_000, version_words="19"), "warning", "server", "newer"),
    ("a standby", server(is_standby=True), "failing", "server", "primary"),
    ("no autovacuum", setting("autovacuum", "off"), "failing", "settings", "autovacuum = on"),
    ("no fsync", setting("fsync", "off"), "warning", "settings", "fsync = on"),
    (
        "serializable",
        setting("default_transaction_isolation", "serializable"),
        "failing",
        "settings",
        "read committed",
    ),
    ("asynchronous", setting("synchronous_commit", "off"), "warning", "settings", "on, unless"),
    ("a timeout", setting("statement_timeout", "5000"), "warning", "settings", "ALTER ROLE me SET"),
    ("latin", setting("server_encoding", "LATIN1"), "warning", "settings", "UTF8"),
    (
        "no rights",
        {"rights": Rights(may_use=False, may_create=True, owns=True, refused=[])},
        "failing",
        "rights",
        "GRANT USAGE ON SCHEMA s TO me",
    ),
    (
        "a table refused",
        {
            "rights": Rights(may_use=True, may_create=True, owns=True, refused=["tasks"]),
            "server": replace(SERVER, role="my-role"),
        },
        "failing",
        "rights",
        'ON ALL TABLES IN SCHEMA s TO "my-role"',
    ),
    (
        "another owner",
        {"rights": Rights(may_use=True, may_create=False, owns=False, refused=[])},
        "warning",
        "rights",
        "owner",
    ),
    ("a veil", server(sees_all=False), "warning", "rights", "pg_read_all_stats"),
    ("a small server", server(sessions_max=80), "failing", "connections", "max_connections"),
    ("a full server", server(sessions=97), "failing", "connections", "idle"),
    (
        "no room for one more",
        server(sessions_max=30) | {"work": replace(WORK, workers=[replace(WORKER, connections=4)])},
        "warning",
        "connections",
        "before you",
    ),
    ("a clock", server(clock_ahead_ms=60_000.0), "warning", "clock", "NTP"),
    ("far away", server(round_trip_ms=80.0), "warning", "distance", "nearer"),
    ("a long queue", server(queue_usage=0.5), "warning", "hints", "listens"),
    ("a full queue", server(queue_usage=0.9), "failing", "hints", "listens"),
    ("deaf", {"hints": Hints(None, "none came")}, "failing", "hints", "pooler=true"),
    (
        "no way past the pooler",
        {"hints": Hints(None, "none", expected=False)},
        "warning",
        "hints",
        "direct_dsn",
    ),
    ("old rows", server(age=600_000_000), "warning", "wraparound", "VACUUM"),
    ("very old rows", server(age=1_900_000_000), "failing", "wraparound", "VACUUM"),
    ("no schema", {"schema": Schema(0, 4, [])}, "failing", "schema", "pacewheel migrate"),
    ("an old schema", {"schema": Schema(3, 4, [])}, "failing", "schema", "pacewheel migrate"),
    ("a new schema", {"schema": Schema(5, 4, [])}, "failing", "schema", "upgrade pacewheel"),
    (
        "a hole",
        {"schema": Schema(4, 4, ["relation tasks_claim"])},
        "failing",
        "schema",
        "schema.sql",
    ),
    (
        "an invalid index",
        {"indexes": [replace(INDEX, is_valid=False)]},
        "failing",
        "indexes",
        "REINDEX INDEX CONCURRENTLY s.tasks_claim",
    ),
    (
        "a bloated index",
        {"indexes": [replace(INDEX, bytes=10**9)]},
        "warning",
        "indexes",
        "REINDEX INDEX CONCURRENTLY s.tasks_claim",
    ),
    (
        "dead rows",
        {"tables": [replace(TABLE, dead=10**6)]},
        "warning",
        "dead rows",
        "VACUUM s.tasks",
    ),
    ("a session", {"holders": [SESSION]}, "warning", "vacuum", "pg_terminate_backend(4711)"),
    (
        "a session for hours",
        {"holders": [replace(SESSION, age_s=9000.0)]},
        "failing",
        "vacuum",
        "pg_terminate_backend(4711)",
    ),
    (
        "a prepared transaction",
        {"holders": [Holder("prepared", "x7", "ann", None, None, 600.0, 12, None)]},
        "warning",
        "vacuum",
        "ROLLBACK PREPARED 'x7'",
    ),
    (
        "a slot",
        {"holders": [Holder("slot", "copy", None, None, "inactive", None, 2_000_000, 0)]},
        "warning",
        "vacuum",
        "pg_drop_replication_slot('copy')",
    ),
    (
        "a standby's query",
        {"holders": [Holder("standby", "two", "rep", 5, "streaming", None, 60_000_000, None)]},
        "failing",
        "vacuum",
        "hot_standby_feedback",
    ),
    (
        "no partition today",
        {"partitions": replace(PARTITIONS, has_today=False)},
        "failing",
        "partitions",
        "pacewheel run",
    ),
    (
        "no partition tomorrow",
        {"partitions": replace(PARTITIONS, has_tomorrow=False)},
        "warning",
        "partitions",
        "pacewheel run",
    ),
    (
        "rows by default",
        {"partitions": replace(PARTITIONS, in_default=True)},
        "warning",
        "partitions",
        "s.results_default",
    ),
    (
        "old results",
        {"partitions": replace(PARTITIONS, oldest=date(2025, 12, 1))},
        "warning",
        "retention",
        "pacewheel prune --yes",
    ),
    (
        "two versions",
        {"work": replace(WORK, workers=[WORKER, replace(WORKER, version="0.9", connections=0)])},
        "warning",
        "workers",
        "older version",
    ),
    (
        "an expired lease",
        {"work": replace(WORK, workers=[replace(WORKER, state=WorkerState.EXPIRED)])},
        "warning",
        "workers",
        "hangs",
    ),
    (
        "nobody for the work",
        {"work": replace(WORK, unknown_handlers=[("warm", 2, 30)])},
        "failing",
        "workers",
        "pacewheel run",
    ),
    (
        "a stuck job",
        {
            "work": replace(
                WORK,
                stuck=[StuckJob(7, "a", 5, WaitingReason.WORKER_CAPACITY, "nobody", 900.0)],
            )
        },
        "failing",
        "stuck jobs",
        "pacewheel why 7",
    ),
    (
        "a blocked statement",
        {"slow": [SlowStatement(9, "claim_tasks", 2000.0, "Lock: tuple", [8])]},
        "warning",
        "slow statements",
        "pid 8",
    ),
    ("orphans", {"work": replace(WORK, orphaned_jobs=[7])}, "failing", "left behind", "reconcile"),
    ("drift", {"work": replace(WORK, drifting_jobs=[7])}, "failing", "left behind", "reconcile"),
    (
        "stranded tasks",
        {"work": replace(WORK, stranded_domains=[7])},
        "warning",
        "left behind",
        "reconcile",
    ),
    (
        "a part that can't be read",
        {"indexes": None, "errors": {"indexes": StoreError("it broke")}},
        "failing",
        "indexes",
        "run this again",
    ),
]


@pytest.mark.parametrize(
    ("values", "level", "check", "step"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_what_is_not_in_order_is_found(
    values: dict[str, object], level: str, check: str, step: str
) -> None:
    """One finding, of the right level, with what it means and the next step."""
    (found,) = wrong(**values)
    assert (level, check) == (found.level.value, found.check)
    assert found.meaning
    assert step in (found.next_step or "")


def test_dead_rows_name_who_keeps_them() -> None:
    """A vacuum would be in vain."""
    found = wrong(tables=[replace(TABLE, dead=10**6)], holders=[SESSION])
    assert {"dead rows", "vacuum"} == {each.check for each in found}
    words = "session psql (pid 4711, role ann, idle in transaction, for 10 min)"
    assert f"end what holds it back: {words}" == found[0].next_step


def test_results_may_be_kept_for_ever() -> None:
    """Who asks for that is not warned."""
    given = replace(
        facts(partitions=replace(PARTITIONS, oldest=date(2001, 1, 1))), results_keep_days=0
    )
    assert Level.OK is worst(examine(given))


def test_behind_a_pooler_the_servers_connections_are_not_counted() -> None:
    """Whatever the processes may open, the pooler bears it."""
    given = replace(facts(**server(sessions_max=30)), pooler=True)
    assert Level.OK is worst(examine(given))


def test_a_server_that_is_away_is_the_only_finding() -> None:
    """Nothing else can be said then."""
    error = StoreUnavailable("database db can't be reached")
    (found,) = examine(facts(server=None, errors={"server": error}))
    assert (Level.FAILING, "database db can't be reached") == (found.level, found.words)


def test_an_old_schema_explains_what_could_not_be_read() -> None:
    """The missing columns are no findings of their own."""
    errors = {"work": StoreError("no such column")}
    assert ["schema"] == [
        each.check for each in wrong(schema=Schema(3, 4, []), work=None, errors=errors)
    ]
