"""What of a settle costs what: the statement, and the same without some of its parts.

Each settles the same tasks of fifty jobs, in batches of 500 as a drain does, on one connection with
nothing beside it. By turns; CPU of the connection's process.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import uvloop

from benches.drains import Shape, fill
from benches.server import process_cpu_s
from benches.test_drain import FULL
from pacewheel.store.pool import connect
from pacewheel.store.queries import load_queries

if TYPE_CHECKING:
    import asyncpg

pytestmark = pytest.mark.slow

TASKS = 50_000 if FULL else 10_000
ROUNDS = 3 if FULL else 1
BATCH = 500
WORKER_ID, EPOCH, COMPLETED = 999, 7, 3

WHOLE = load_queries()["settle_tasks"]
RESULTS, COUNTERS, ANSWER = "), appended AS (", "), counted AS (", ")\nSELECT\n"
ENDED = "(SELECT array_agg(c.sums) FROM counted c WHERE c.sums IS NOT NULL)"
assert [1] * 4 == [WHOLE.count(part) for part in (RESULTS, COUNTERS, ANSWER, ENDED)]


def without(begin: str, end: str) -> str:
    """Return the statement without what stands between two of its parts."""
    return WHOLE[: WHOLE.index(begin)] + WHOLE[WHOLE.index(end) :]


VARIANTS = {
    "settle: the whole": WHOLE,
    "settle: without its results": without(RESULTS, COUNTERS),
    "settle: without its counters": without(COUNTERS, ANSWER).replace(
        ENDED, "CASE WHEN $5::bigint[] IS NULL THEN '{}'::jsonb[] END"
    ),
    "settle: nothing but the update": """
        WITH settled AS (
            UPDATE pacewheel.tasks t
            SET status = i.status, attempt = i.attempt, finished_at = now()
            FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[])
                AS i (domain_id, task_id, status, attempt)
            WHERE t.domain_id = i.domain_id AND t.id = i.task_id AND t.status < 1
                AND t.attempt = i.attempt - 1
            RETURNING t.id
        )
        SELECT count(*) AS settled FROM settled""",
}


async def settled_us(dsn: str, statement: str) -> float:
    """Fill, settle all tasks, and return what a row took the connection's process, in microseconds."""
    await fill(dsn, Shape(tasks=TASKS))
    connection = await connect(dsn)
    await connection.execute(
        "INSERT INTO pacewheel.workers (id, lease_until, pid, capacity, host, version)"
        " OVERRIDING SYSTEM VALUE VALUES ($1, now() + interval '1 day', 1, 1, '', '')"
        " ON CONFLICT DO NOTHING",
        WORKER_ID,
    )
    await connection.execute(
        "UPDATE pacewheel.domains SET owner = $1, epoch = $2", WORKER_ID, EPOCH
    )
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    # As claims take them: the best of each job, all jobs by turns.
    tasks = await connection.fetch(
        "SELECT t.domain_id, t.job_id, t.id FROM pacewheel.tasks t ORDER BY"
        " row_number() OVER (PARTITION BY t.job_id ORDER BY t.priority DESC, t.id DESC), t.job_id"
    )
    used_s, done = process_cpu_s(connection.get_server_pid()), 0
    for start in range(0, TASKS, BATCH):
        done += await settle(connection, statement, tasks[start : start + BATCH])
    used_s = process_cpu_s(connection.get_server_pid()) - used_s
    await connection.close()
    assert done == TASKS
    return used_s / TASKS * 1e6


async def settle(
    connection: asyncpg.Connection, statement: str, batch: list[asyncpg.Record]
) -> int:
    """Settle a batch as completed; return how many rows that changed."""
    domain_ids = sorted({row["domain_id"] for row in batch})
    rows = (
        [row["domain_id"] for row in batch],
        [row["id"] for row in batch],
        [COMPLETED] * len(batch),
        [1] * len(batch),
    )
    if "fence" in statement:
        fence = (WORKER_ID, domain_ids, [EPOCH] * len(domain_ids))
        jobs = (sorted({row["job_id"] for row in batch}), [])
        rows = (*fence, *jobs, *rows, *[None] * 3, [0] * len(batch), *[None] * 8)
    row = await connection.fetchrow(statement, *rows)
    settled: int = row["settled"]
    return settled


def test_what_the_parts_of_a_settle_cost(dsn: str, budget: Callable[[str, float], None]) -> None:
    """Medians of the rounds, by turns, after one that isn't counted."""

    async def measure() -> dict[str, list[float]]:
        taken: dict[str, list[float]] = {name: [] for name in VARIANTS}
        await settled_us(dsn, WHOLE)
        for _ in range(ROUNDS):
            for name, statement in VARIANTS.items():
                taken[name].append(await settled_us(dsn, statement))
        return taken

    for name, each in uvloop.run(measure()).items():
        budget(name, statistics.median(each))
