"""Ids of tasks: each in its job's range, those of jobs that share one told apart, old ones written anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from pacewheel import Engine, NewTask
from pacewheel.store import migrate
from pacewheel.store.queries import sql_root
from tests.conftest import execute, fetch
from tests.integration.counted_jobs import is_clean, reconciled
from tests.integration.old_rows import counts, make_older, pruned, ran

if TYPE_CHECKING:
    from pacewheel import Job

DOWN = "0009_post_task_ids.down.sql"
# What names tasks: by the key of each, in the order of the keys.
NAMED = """
SELECT
    coalesce(t.key, t.target) AS key, t.job_id, t.id, r.task_id AS result, l.targets AS links,
    t.id = ANY (d.in_flight) AS in_flight, p.task_id AS raised
FROM pacewheel.tasks t
JOIN pacewheel.domains d ON d.id = t.domain_id
LEFT JOIN pacewheel.results r ON r.job_id = t.job_id AND r.task_id = t.id
LEFT JOIN pacewheel.link_lists l ON l.job_id = t.job_id AND l.targets[1] = t.id
LEFT JOIN pacewheel.priority_updates p ON p.domain_id = t.domain_id AND p.task_id = t.id
ORDER BY t.job_id, key
"""


async def named(dsn: str) -> list[dict[str, Any]]:
    """Every task with all that names it."""
    return [dict(row) for row in await fetch(dsn, NAMED)]


async def unmigrate(dsn: str) -> None:
    """Go back to the version whose ids were hashes and nothing else."""
    down = (sql_root() / "migrations" / DOWN).read_text("utf-8")
    await execute(dsn, down, "DELETE FROM pacewheel.migrations WHERE version >= 9")


async def with_names(engine: Engine, dsn: str) -> Job:
    """A job that ran and one that is live, with tasks that results, links, the outbox and a domain name."""
    await ran(engine, "a.example")
    await engine.run_until_idle()
    await engine.connect()
    live = await ran(engine, "a.example", 3)
    await execute(
        dsn,
        "INSERT INTO pacewheel.priority_updates (domain_id, task_id, job_id, priority)"
        f" SELECT domain_id, id, job_id, 9 FROM pacewheel.tasks WHERE job_id = {live.id}",
        "UPDATE pacewheel.domains d SET in_flight = ARRAY(SELECT t.id FROM pacewheel.tasks t"
        f" WHERE t.job_id = {live.id} ORDER BY t.target LIMIT 2)",
    )
    return live


async def test_old_ids_are_written_anew_in_all_that_names_them(past: Engine, dsn: str) -> None:
    """Down to hashes and up again everything is as it was, and a key that was known still is."""
    live = await with_names(past, dsn)
    new = await named(dsn)
    for task in new:
        is_final = task["job_id"] != live.id
        assert (task["result"], task["links"]) == (
            (task["id"], [task["id"]]) if is_final else (None, None)
        )
        assert task["raised"] == (None if is_final else task["id"])
    assert [False] * 5 + [True, True, False] == [task["in_flight"] for task in new]

    await unmigrate(dsn)
    old = await named(dsn)
    hashes = await fetch(
        dsn,
        "SELECT hashtextextended(coalesce(key, target), job_id) FROM pacewheel.tasks"
        " ORDER BY job_id, coalesce(key, target)",
    )
    assert [row[0] for row in hashes] == [task["id"] for task in old]
    for before, after in zip(new, old, strict=True):
        assert before["in_flight"] == after["in_flight"]
        names = ("result", "raised", "links")
        assert [before[name] is None for name in names] == [after[name] is None for name in names]

    await migrate(dsn, "pacewheel")
    assert new == await named(dsn)
    again = await live.enqueue([NewTask("a.example/1"), NewTask("a.example/new")])
    assert (1, 1) == (again.known, again.inserted)


async def test_old_ids_that_meet_in_their_lower_bits_are_kept_apart(past: Engine, dsn: str) -> None:
    """The younger task goes where enqueueing would put it, with its result, its raise and its place in flight."""
    live = await with_names(past, dsn)
    await unmigrate(dsn)
    await execute(
        dsn,
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target)"
        " SELECT domain_id, id # (1::bigint << 60), job_id, 0, now() + interval '1 s', 0, 'twin'"
        f" FROM pacewheel.tasks WHERE job_id = {live.id} AND target = 'a.example/0'",
        "INSERT INTO pacewheel.results (finished_at, domain_id, job_id, task_id, worker_id, duration_ms, attempt,"
        " outcome) SELECT now(), domain_id, job_id, id, 1, 1, 1, 1 FROM pacewheel.tasks WHERE target = 'twin'",
        "INSERT INTO pacewheel.priority_updates (domain_id, task_id, job_id, priority)"
        " SELECT domain_id, id, job_id, 9 FROM pacewheel.tasks WHERE target = 'twin'",
        "UPDATE pacewheel.domains SET in_flight = in_flight || (SELECT id FROM pacewheel.tasks WHERE target = 'twin')",
        f"UPDATE pacewheel.jobs SET total = total + 1, pending = pending + 1 WHERE id = {live.id}",
    )
    await migrate(dsn, "pacewheel")
    tasks = {task["key"]: task for task in await named(dsn) if task["job_id"] == live.id}
    ((expected,),) = await fetch(dsn, f"SELECT pacewheel.task_id({live.id}, 'twin', 1)")
    twin = tasks["twin"]
    assert [expected] * 3 == [twin[name] for name in ("id", "result", "raised")]
    assert twin["in_flight"]
    assert tasks["a.example/0"]["result"] is None


async def test_tasks_of_jobs_that_share_a_range_are_told_apart(past: Engine, dsn: str) -> None:
    """Jobs 65,536 apart: counted, listed, exported and removed is what is a job's own."""
    first = await ran(past, "a.example")
    await fetch(dsn, f"SELECT setval('pacewheel.jobs_id_seq', {first.id + 65_535})")
    second = await ran(past, "a.example", 7)
    assert 65_536 == second.id - first.id
    ((lowest, highest),) = await fetch(
        dsn,
        "SELECT min(id), max(id) FROM pacewheel.tasks WHERE id BETWEEN pacewheel.first_task_id($1)"
        " AND pacewheel.last_task_id($1) HAVING count(*) = 12",
        first.id,
    )
    assert lowest < highest
    await past.run_until_idle()
    await past.connect()
    both = [(job.id, 1, 0) for job in (first, second)]
    assert [] == await past.store.counters.compare_counters(both, mark=False)
    found = await reconciled(past)
    assert is_clean(found)
    assert 2 == found.jobs
    for job, number in ((first, 5), (second, 7)):
        rows: list[Any] = []
        await job.export(rows.extend)
        assert number == len(rows)
    await make_older(dsn, 31, first.id)
    before = await counts(dsn, second.id)
    assert 5 == (await pruned(past)).rows["tasks"]
    assert before == await counts(dsn, second.id)
    assert 0 == (await counts(dsn, first.id))["tasks"]


async def test_a_task_outside_its_jobs_range_is_refused(past: Engine, dsn: str) -> None:
    """A process of a version whose ids were hashes can't hide tasks from those who look in the range."""
    job = await ran(past, "a.example")
    with pytest.raises(asyncpg.CheckViolationError, match="tasks_id_check"):
        await execute(
            dsn,
            "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target)"
            f" SELECT domain_id, pacewheel.last_task_id(id) + 1, id, 0, now(), 0, 'x' FROM pacewheel.jobs"
            f" WHERE id = {job.id}",
        )
