"""Why a thousand live jobs wait: one question, answered while somebody looks at a screen."""

from __future__ import annotations

import statistics
import time

import asyncpg

from pacewheel import Engine

JOBS = 1000
TASKS = 100
ROUNDS = 5
FILL = (
    (
        "INSERT INTO pacewheel.domains (name, base_delay_ms, next_slot_at)"
        f" SELECT 'd' || n, n % 2 * 1000, now() + interval '1 h' FROM generate_series(1, {JOBS}) AS n"
    ),
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, status, total, pending, waiting, backoff)"
        f" SELECT d.id, 'h', 8, d.id % 3, {TASKS}, {TASKS} / 2, {TASKS} / 2, {TASKS} / 4 FROM pacewheel.domains d"
    ),
    (
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, ready_at,"
        " waiting_reason, target) SELECT j.domain_id, pacewheel.first_task_id(j.id) + n, j.id, random(), now(), n % 2,"
        " CASE WHEN n % 2 = 1 THEN now() + interval '1 h' END, CASE WHEN n % 2 = 1 THEN n / 2 % 2 END, 't' || n"
        f" FROM pacewheel.jobs j, generate_series(1, {TASKS}) AS n"
    ),
    (
        "UPDATE pacewheel.domains d SET in_flight = ARRAY(SELECT t.id FROM pacewheel.tasks t"
        " WHERE t.domain_id = d.id AND t.status = 0 LIMIT 8)"
    ),
    "ANALYZE",
)


async def test_a_thousand_jobs_are_explained_within_a_second(dsn: str) -> None:
    """Half of them paced, a third paused, 8 tasks running each, a quarter of their tasks retrying."""
    engine = Engine(dsn)
    await engine.connect()
    connection = await asyncpg.connect(dsn)
    for statement in FILL:
        await connection.execute(statement)
    await connection.close()
    times_s = []
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        found = await engine.explain()
        times_s.append(time.perf_counter() - started_s)
    await engine.close()
    median_s = statistics.median(times_s)
    print(
        f"\nexplaining {JOBS} jobs of {TASKS} tasks: {median_s * 1000:.0f} ms, {len(found)} reasons"
    )
    assert sum(each.tasks for each in found) == JOBS * (TASKS - 8)
    assert median_s < 1.0
