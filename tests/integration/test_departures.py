"""What a settle keeps of a departure, of a pause that was asked for, and of links."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from pacewheel import Engine, NewTask, Outcome, Task
from tests.conftest import fetch

GAP_MS = 40


async def run(dsn: str, *, gap_ms: int, tasks: int = 6) -> None:
    """Run a job of quick tasks; the third asks for a pause, the first links to others."""
    engine = Engine(dsn)

    @engine.handler("note")
    async def note(task: Task) -> Outcome:
        if task.target == "t2":
            return Outcome.completed(block_domain_s=0.3)
        if task.target == "t0":
            return Outcome.completed(links={"main": ["t1", "t5"], "nav": ["t1"], "none": []})
        return Outcome.completed()

    await engine.connect()
    await engine.create_job(
        domain="a.example",
        handler="note",
        domain_delay_ms=gap_ms,
        tasks=[NewTask(f"t{n}", priority=-n) for n in range(tasks)],
        discovery_open=False,
    )
    await engine.run_until_idle()


async def test_each_departure_is_kept_with_its_gap_and_the_time_since_the_one_before(
    dsn: str,
) -> None:
    """Exact by the process's clock, and the database's clock agrees within what a settle may wait."""
    await run(dsn, gap_ms=GAP_MS)
    rows = await fetch(
        dsn,
        "SELECT departed_at, r.finished_at, apart_ms, gap_ms, pause_ms FROM pacewheel.results r"
        " JOIN pacewheel.tasks t ON t.id = r.task_id ORDER BY t.target",
    )
    assert 6 == len(rows)
    assert [GAP_MS] * 6 == [row["gap_ms"] for row in rows]
    assert rows[0]["apart_ms"] is None
    assert all(row["apart_ms"] >= GAP_MS for row in rows[1:])
    assert [None, None, 300, None, None, None] == [row["pause_ms"] for row in rows]
    assert rows[3]["apart_ms"] >= 300
    assert all(row["departed_at"] <= row["finished_at"] for row in rows)
    # A settle that waits tells a later time: so most agree, whatever happened to some.
    differences_ms = [
        (after["departed_at"] - before["departed_at"]).total_seconds() * 1000 - after["apart_ms"]
        for before, after in pairwise(rows)
    ]
    assert median(map(abs, differences_ms)) < GAP_MS


async def test_without_a_gap_departures_are_kept_only_of_attempts_that_ask_for_a_pause(
    dsn: str,
) -> None:
    """There is nothing to prove of the others, and they cost nothing."""
    await run(dsn, gap_ms=0)
    rows = await fetch(dsn, "SELECT pause_ms FROM pacewheel.results WHERE departed_at IS NOT NULL")
    assert [300] == [row["pause_ms"] for row in rows]


async def test_links_are_kept_as_ids_of_tasks_in_lists_by_name(dsn: str) -> None:
    """An id is that of the task with this key; an empty list is none."""
    await run(dsn, gap_ms=0)
    rows = await fetch(
        dsn,
        "SELECT l.name, t.target FROM pacewheel.results r"
        " JOIN pacewheel.link_lists l ON l.job_id = r.job_id AND l.id = ANY (r.link_lists)"
        " CROSS JOIN LATERAL unnest(l.targets) WITH ORDINALITY AS u (id, n)"
        " JOIN pacewheel.tasks t ON t.id = u.id ORDER BY l.name, u.n",
    )
    assert [("main", "t1"), ("main", "t5"), ("nav", "t1")] == [tuple(row) for row in rows]
