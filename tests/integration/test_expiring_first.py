"""What a schedule's next job is told of the pages whose cached copies expire."""

from __future__ import annotations

import json

from pacewheel import Engine
from tests.conftest import execute, fetch
from tests.integration.test_schedules import END_ALL, hourly


async def leave_result(
    dsn: str, target: str, ttl_s: object, *, kind: str = "page", depth: int = 1, outcome: int = 3
) -> None:
    """Give job 1 a task of this kind with a result of an hour ago."""
    key = f"{kind} {target}".removeprefix("page ")
    detail = "NULL" if ttl_s is None else f"'{json.dumps({'ttl_s': ttl_s})}'"
    payload = json.dumps({"kind": kind} | ({"depth": depth} if kind == "page" else {}))
    age = "50 minutes" if kind == "recheck" else "1 hour"
    await execute(
        dsn,
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target,"
        f" key, payload) VALUES (1, pacewheel.task_id(1, '{key}'), 1, 0, now(), 3, '{target}',"
        f" '{key}', '{payload}')",
        "INSERT INTO pacewheel.results (finished_at, domain_id, job_id, task_id, worker_id,"
        " duration_ms, attempt, outcome, detail) VALUES"
        f" (now() - interval '{age}', 1, 1, pacewheel.task_id(1, '{key}'), 1, 1, 1, {outcome},"
        f" {detail})",
    )


async def test_the_job_after_is_told_the_pages_whose_copies_expire_soonest_first(
    engine: Engine, dsn: str
) -> None:
    """By the last word of a page or its recheck; what failed, has no copy or is no page is left out."""
    await hourly(engine, expiring_first=True)
    first = await engine.schedules.fire("hourly")
    documents = "SELECT body FROM pacewheel.documents WHERE job_id = $1 AND name = 'expiring'"
    assert [] == await fetch(dsn, documents, first.id)
    await leave_result(dsn, "late", 86_400, depth=2)
    await leave_result(dsn, "soon", 3_700.5)
    await leave_result(dsn, "past", -5)
    await leave_result(dsn, "for ever", 1e300)
    await leave_result(dsn, "rechecked", 100, depth=3)
    await leave_result(dsn, "rechecked", 7_200, kind="recheck")
    await leave_result(dsn, "unknown", None)
    await leave_result(dsn, "odd", "soon")
    await leave_result(dsn, "failed", 60, outcome=4)
    await leave_result(dsn, "robots.txt", 60, kind="robots")
    await execute(dsn, *END_ALL)
    second = await engine.schedules.fire("hourly")
    ((body,),) = await fetch(dsn, documents, second.id)
    expected = [
        ["past", 1, 0.833333],
        ["soon", 1, 0.666667],
        ["rechecked", 3, 0.5],
        ["late", 2, 0.333333],
        ["for ever", 1, 0.166667],
    ]
    assert expected == json.loads(body)


async def test_only_a_schedule_that_asks_for_it_tells_what_expires(
    engine: Engine, dsn: str
) -> None:
    """Other handlers have no use for the document."""
    await hourly(engine)
    await engine.schedules.fire("hourly")
    await leave_result(dsn, "soon", 3_700.5)
    await execute(dsn, *END_ALL)
    await engine.schedules.fire("hourly")
    assert [] == await fetch(dsn, "SELECT FROM pacewheel.documents")
