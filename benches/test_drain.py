"""The whole engine against the least that PostgreSQL must do for a queue: drain and enqueue.

The floor is raw SQL on the same server, in the same run: a batched claim UPDATE with SKIP LOCKED
and a batched completion UPDATE, best of several batch sizes and connection counts, with no limits,
counters, results or fence. The engine runs with all of them. Both are warmed by one round that
isn't counted.

Rates on a machine that others use say little; the CPU time of a task says more, and is printed too.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import asyncpg
import uvloop

from pacewheel import Config, Engine, JobState, NewTask, Task
from pacewheel.store.queries import load_queries

FLOOR = {path.stem: path.read_text() for path in (Path(__file__).parent / "floor").glob("*.sql")}
FULL = os.environ.get("BENCH", "quick") == "full"
JOBS = 50
TASKS = 100_000 if FULL else 20_000
ROUNDS = 3
LIMIT = 20
CAPACITY = 1000
FLOOR_WAYS = [(500, 2), (1000, 2), (1000, 4)]
ENQUEUE_ROWS = 1000
# Enough of a statement to tell it from the others, and nothing yet that the server replaces.
PREFIX_CHARS = 80
HOT = ("enqueue_tasks", "claim_tasks", "settle_tasks")


class Round(NamedTuple):
    """Rows enqueued and tasks drained a second, and Python's CPU time for one, in microseconds."""

    enqueued: float
    drained: float
    enqueue_us: float
    drain_us: float


def target(number: int) -> str:
    """Return a URL of ordinary length."""
    return f"https://shop.example.com/catalogue/section-{number % 97}/article-{number}.html"


async def floor_insert(dsn: str, total: int) -> float:
    """Insert the floor's rows in batches; return rows a second."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("DROP TABLE IF EXISTS floor_tasks")
    await connection.execute(FLOOR["schema"])
    batches = [
        (
            [number % JOBS for number in numbers],
            [target(number) for number in numbers],
            [number * 7919 % 1000 / 1000 for number in numbers],
        )
        for start in range(0, total, ENQUEUE_ROWS)
        if (numbers := range(start, start + ENQUEUE_ROWS))
    ]
    began = time.perf_counter()
    for batch in batches:
        await connection.execute(FLOOR["insert"], *batch)
    rate = total / (time.perf_counter() - began)
    await connection.execute("VACUUM ANALYZE floor_tasks")
    await connection.close()
    return rate


async def floor_drain(dsn: str, total: int, batch: int, connections: int) -> float:
    """Claim and complete every row; return tasks a second."""
    settings = {"enable_seqscan": "off", "jit": "off"}
    pool = [await asyncpg.connect(dsn, server_settings=settings) for _ in range(connections)]
    done = 0

    async def work(connection: asyncpg.Connection) -> None:
        nonlocal done
        while rows := await connection.fetch(FLOOR["claim"], batch):
            await connection.execute(
                FLOOR["complete"], [row["domain_id"] for row in rows], [row["id"] for row in rows]
            )
            done += len(rows)

    began = time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in pool))
    rate = total / (time.perf_counter() - began)
    for connection in pool:
        await connection.close()
    assert done == total
    return rate


async def empty(dsn: str, also: tuple[str, ...] = ()) -> None:
    """Forget all jobs."""
    connection = await asyncpg.connect(dsn)
    tables = ("tasks", "results", "documents", "jobs", "domains", *also)
    names = ", ".join(f"pacewheel.{table}" for table in tables)
    await connection.execute(f"TRUNCATE {names} RESTART IDENTITY")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def engine_round(
    dsn: str, total: int, jobs: int = JOBS, also_empty: tuple[str, ...] = ()
) -> Round:
    """Enqueue and drain no-op tasks."""
    engine = Engine(dsn, config=Config(capacity=CAPACITY))

    @engine.handler("noop")
    async def noop(_task: Task) -> None:
        return None

    await engine.connect()
    await empty(dsn, also_empty)
    created = [
        await engine.create_job(domain=f"site-{n}.example", handler="noop", concurrency=LIMIT)
        for n in range(jobs)
    ]
    share = total // jobs
    tasks = [
        [
            NewTask(target(n), priority=n * 7919 % 1000 / 1000)
            for n in range(k * share, (k + 1) * share)
        ]
        for k in range(jobs)
    ]
    began, cpu = time.perf_counter(), time.process_time()
    for job, batch in zip(created, tasks, strict=True):
        await job.enqueue(batch)
    enqueued = total / (time.perf_counter() - began)
    enqueue_us = (time.process_time() - cpu) / total * 1e6
    for job in created:
        await job.finish_discovery()
    connection = await asyncpg.connect(dsn)
    await connection.execute("VACUUM ANALYZE pacewheel.tasks")
    began, cpu = time.perf_counter(), time.process_time()
    await engine.run_until_idle()
    drained = total / (time.perf_counter() - began)
    drain_us = (time.process_time() - cpu) / total * 1e6
    rows = await connection.fetch("SELECT status, total, pending, completed FROM pacewheel.jobs")
    results = await connection.fetchval("SELECT count(*) FROM pacewheel.results")
    await connection.close()
    assert [(JobState.COMPLETED, share, 0, share)] * jobs == [tuple(row) for row in rows]
    assert share * jobs == results
    return Round(enqueued, drained, enqueue_us, drain_us)


async def server_us(connection: asyncpg.Connection, total: int) -> dict[str, float]:
    """Return the server's time in each of the hot statements, in microseconds a task."""
    rows = await connection.fetch("SELECT query, total_exec_time FROM pg_stat_statements")
    return {
        name: sum(
            time_ms * 1000 / total
            for text, time_ms in rows
            if text[:PREFIX_CHARS] == load_queries()[name][:PREFIX_CHARS]
        )
        for name in HOT
    }


def test_drain_and_enqueue_against_the_floor(
    dsn: str, budget: Callable[[str, float], None]
) -> None:
    """Medians of the rounds, engine and floor by turns."""

    async def measure() -> tuple[list[Round], list[float], list[float]]:
        await engine_round(dsn, TASKS // 4)
        engine, floor_in, floor_out = [], [], []
        for _ in range(ROUNDS):
            engine.append(await engine_round(dsn, TASKS))
            for batch, connections in FLOOR_WAYS:
                floor_in.append(await floor_insert(dsn, TASKS))
                floor_out.append(
                    (await floor_drain(dsn, TASKS, batch, connections), batch, connections)
                )
        return engine, floor_in, floor_out

    engine, floor_in, floor_out = uvloop.run(measure())
    enqueued = statistics.median(each.enqueued for each in engine)
    drained = statistics.median(each.drained for each in engine)
    best = max(
        statistics.median(rate for rate, *way in floor_out if way == [batch, connections])
        for batch, connections in FLOOR_WAYS
    )
    inserted = statistics.median(floor_in)
    print(f"\ndrain: engine {drained:,.0f} tasks/s, floor {best:,.0f} tasks/s")
    print(f"enqueue: engine {enqueued:,.0f} rows/s, floor {inserted:,.0f} rows/s")
    budget("drain: engine", drained)
    budget("drain: engine over floor", drained / best)
    budget("enqueue: engine", enqueued)
    budget("enqueue: engine over floor", enqueued / inserted)


def test_where_the_time_of_a_task_goes(dsn: str, budget: Callable[[str, float], None]) -> None:
    """Medians of the rounds; the server's time counts what a statement waits for a processor, too."""

    async def measure() -> tuple[list[Round], list[dict[str, float]]]:
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        await engine_round(dsn, TASKS // 4)
        engine, server = [], []
        for _ in range(ROUNDS):
            await connection.execute("SELECT pg_stat_statements_reset()")
            engine.append(await engine_round(dsn, TASKS))
            server.append(await server_us(connection, TASKS))
        await connection.close()
        return engine, server

    engine, server = uvloop.run(measure())
    budget("drain: Python a task", statistics.median(each.drain_us for each in engine))
    budget("enqueue: Python a row", statistics.median(each.enqueue_us for each in engine))
    for name in HOT:
        took_us = statistics.median(each[name] for each in server)
        assert 0 < took_us
        budget(f"drain: server, {name}", took_us)
