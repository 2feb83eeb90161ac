"""Three forms of finished work on the real engine, whose statements differ by small edits.

- in place: the row stays and changes its status (what ships);
- delete + append: the row is deleted and its identity kept in its results row, which the dedupe
  then reads too;
- queue table: a permanent row without any partial index, and a narrow row in a queue table until it
  is settled.

Each form enqueues and drains the same no-op tasks, by turns; the medians are printed. Nothing is
guarded: the figures chose the schema, and stand in ARCHITECTURE.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import asyncpg
import pytest
import uvloop

from benches.test_drain import FULL, Round, engine_round
from pacewheel import embedded
from pacewheel.store import migrate, queries

pytestmark = pytest.mark.slow

TASKS = 100_000 if FULL else 10_000
ROUNDS = 3 if FULL else 1

Edits = dict[str, list[tuple[str, str]]]

IN_PLACE: Edits = {}
DELETE_APPEND: Edits = {
    "settle_tasks": [
        ("), settled AS (\n", "), retried AS (\n"),
        ("AND t.status < 1 AND t.attempt", "AND t.status < 1 AND i.status = 1 AND t.attempt"),
        (
            "), appended AS (",
            """), deleted AS (
    DELETE FROM pacewheel.tasks t
    USING input i
    WHERE t.domain_id = i.domain_id AND t.id = i.task_id AND t.status < 1 AND i.status <> 1
        AND t.attempt = i.attempt - 1
    RETURNING
        t.job_id, t.domain_id, t.id, i.status, i.attempt, i.error, i.http_status, i.duration_ms,
        i.bytes, i.cache, i.detail, i.left_ms_ago, i.apart_ms, i.gap_ms, i.pause_ms, i.link_lists,
        coalesce(t.key, t.target) AS key
), settled AS (
    SELECT r.*, NULL AS key FROM retried r UNION ALL SELECT d.* FROM deleted d
), appended AS (""",
        ),
        ("link_lists\n    )\n    SELECT", "link_lists, key\n    )\n    SELECT"),
        ("s.link_lists::bigint[]\n", "s.link_lists::bigint[], s.key\n"),
    ],
    "enqueue_tasks": [
        (
            "    LEFT JOIN pacewheel.tasks t ON t.domain_id = o.domain_id AND t.id = o.id\n",
            """    LEFT JOIN LATERAL (
        SELECT t.id, t.job_id, t.key, t.target, t.priority, t.status
        FROM pacewheel.tasks t
        WHERE t.domain_id = o.domain_id AND t.id = o.id
        UNION ALL
        SELECT r.task_id, r.job_id, r.key, NULL, NULL, r.outcome
        FROM pacewheel.results r
        WHERE r.job_id = o.job_id AND r.task_id = o.id AND r.key IS NOT NULL
        LIMIT 1
    ) t ON true
""",
        )
    ],
}
QUEUE_TABLE: Edits = {
    "settle_tasks": [
        (
            "), appended AS (",
            """), dequeued AS (
    DELETE FROM pacewheel.queue q USING settled s WHERE q.domain_id = s.domain_id AND q.id = s.id
), appended AS (""",
        )
    ],
    "enqueue_tasks": [
        (
            "    RETURNING job_id, domain_id, id, status\n",
            "    RETURNING job_id, domain_id, id, status, priority\n",
        ),
        (
            "), counted AS (",
            """), queued AS (
    INSERT INTO pacewheel.queue (domain_id, id, job_id, priority)
    SELECT i.domain_id, i.id, i.job_id, i.priority FROM inserted i WHERE i.status = 0
), counted AS (""",
        ),
    ],
    "claim_tasks": [
        ("t.id, t.priority, t.attempt", "q.id, q.priority, t.attempt"),
        # By the index's own columns, or a claim sorts all that is queued of each job.
        (
            "row_number() OVER (ORDER BY t.priority DESC, t.id DESC)",
            "row_number() OVER (ORDER BY q.priority DESC, q.id DESC)",
        ),
        (
            """                FROM pacewheel.tasks t
                WHERE
                    t.domain_id = g.id AND t.job_id = r.job_id AND t.status = 0
""",
            """                FROM pacewheel.queue q
                JOIN pacewheel.tasks t ON t.domain_id = q.domain_id AND t.id = q.id
                WHERE
                    q.domain_id = g.id AND q.job_id = r.job_id
""",
        ),
        ("AND (t.priority, t.id) <", "AND (q.priority, q.id) <"),
        ("AND t.id NOT IN", "AND q.id NOT IN"),
        (
            "        ORDER BY t.priority DESC, t.id DESC\n                LIMIT",
            "        ORDER BY q.priority DESC, q.id DESC\n                LIMIT",
        ),
    ],
}
SCHEMA = {
    "in place": "SELECT 1",
    "delete + append": "ALTER TABLE pacewheel.results ADD COLUMN key text",
    "queue table": """
        DROP INDEX pacewheel.tasks_claim;
        ALTER TABLE pacewheel.tasks SET (fillfactor = 70);
        CREATE TABLE pacewheel.queue (
            domain_id bigint NOT NULL, id bigint NOT NULL, job_id bigint NOT NULL,
            priority double precision NOT NULL, PRIMARY KEY (domain_id, id)
        );
        CREATE INDEX queue_claim ON pacewheel.queue (domain_id, job_id, priority DESC, id DESC);
    """,
}
FORMS = {"in place": IN_PLACE, "delete + append": DELETE_APPEND, "queue table": QUEUE_TABLE}


def edited(edits: Edits) -> dict[str, str]:
    """Return all statements, those of the form edited; each edit must fit the text as it is now."""
    statements = dict(queries.load_queries())
    for name, pairs in edits.items():
        for old, new in pairs:
            assert 1 == statements[name].count(old), f"{name}: {old!r}"
            statements[name] = statements[name].replace(old, new)
    return statements


STATEMENTS = {form: edited(edits) for form, edits in FORMS.items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server for the three databases."""
    directory = tmp_path_factory.mktemp("forms") / "data"
    with embedded.acquire(embedded.EmbeddedConfig(data_dir=directory)) as use:
        yield use.dsn


def test_the_three_forms_of_finished_work(
    server: str, budget: Callable[[str, float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Print enqueue and drain rates of each form; counters and results are right in all of them."""

    async def prepare() -> dict[str, str]:
        dsns = {}
        for number, (form, ddl) in enumerate(SCHEMA.items()):
            connection = await asyncpg.connect(server)
            await connection.execute(f"CREATE DATABASE form_{number}")
            await connection.close()
            dsns[form] = server.replace("/pacewheel?", f"/form_{number}?")
            await migrate(dsns[form], "pacewheel")
            connection = await asyncpg.connect(dsns[form])
            await connection.execute(ddl)
            await connection.close()
        return dsns

    dsns = uvloop.run(prepare())
    rates: dict[str, list[Round]] = {form: [] for form in FORMS}
    for turn in range(ROUNDS + 1):
        for form, statements in STATEMENTS.items():
            monkeypatch.setattr(
                "pacewheel.store.load_queries", lambda _schema, kept=statements: kept
            )
            extra = ("queue",) if form == "queue table" else ()
            rate = uvloop.run(engine_round(dsns[form], TASKS, also_empty=extra))
            if turn:
                rates[form].append(rate)
    base = statistics.median(each.drained for each in rates["in place"])
    print(f"\n{'form':<16} enqueue/s   drain/s")
    for form, rounds in rates.items():
        enqueued = statistics.median(each.enqueued for each in rounds)
        drained = statistics.median(each.drained for each in rounds)
        print(f"{form:<16} {enqueued:>9,.0f} {drained:>9,.0f}")
        budget(f"forms: {form}, drain over in place", drained / base)
