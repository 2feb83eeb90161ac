"""Counters against rows: every kind of drift is found and repaired, and nothing right is touched."""

from __future__ import annotations

import pytest

from pacewheel import Engine, JobState, NewTask, Task
from pacewheel.counters import COUNTERS, OrphanKind
from tests.conftest import execute, fetch, until
from tests.integration.counted_jobs import TRUE, counters, is_clean, mixed_job, reconciled

HANDLER = "none"


async def live_tasks(dsn: str) -> int:
    """How many live tasks there are."""
    number: int = (await fetch(dsn, "SELECT count(*) FROM pacewheel.tasks WHERE status < 2"))[0][0]
    return number


async def test_a_job_in_order_is_left_alone(engine: Engine, dsn: str) -> None:
    """Nothing is found and its row keeps its counters."""
    job = await mixed_job(engine, dsn)
    found = await reconciled(engine)
    assert is_clean(found)
    assert 1 == found.jobs
    assert await counters(dsn, job.id) == TRUE


@pytest.mark.parametrize("counter", COUNTERS)
async def test_every_wrong_counter_is_found_and_repaired(
    engine: Engine, dsn: str, counter: str
) -> None:
    """A dry run says the same and changes nothing; afterwards there is nothing to find."""
    job = await mixed_job(engine, dsn)
    await mixed_job(engine, dsn, "other.example")
    await execute(dsn, f"UPDATE pacewheel.jobs SET {counter} = {counter} + 7 WHERE id = {job.id}")
    true = TRUE[COUNTERS.index(counter)]
    dry = await reconciled(engine, dry_run=True)
    assert true + 7 == (await counters(dsn, job.id))[COUNTERS.index(counter)]
    found = await reconciled(engine)

    for each in (dry, found):
        assert [(job.id, {counter: (true + 7, true)})] == [
            (drift.job_id, drift.counters) for drift in each.drifts
        ]
        assert {} == each.orphans
    assert await counters(dsn, job.id) == TRUE
    assert is_clean(await reconciled(engine))


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ("DELETE FROM pacewheel.tasks", (0,) * 8),
        ("DELETE FROM pacewheel.tasks WHERE target = 't4'", (9, 1, 3, 2, 0, 1, 2, 2)),
        ("UPDATE pacewheel.tasks SET status = 4 WHERE target = 't4'", (10, 1, 3, 2, 0, 2, 2, 2)),
        (
            "UPDATE pacewheel.tasks SET waiting_reason = 1 WHERE status = 1",
            (10, 1, 3, 0, 1, 1, 2, 2),
        ),
    ],
)
async def test_rows_changed_behind_the_counters_are_found(
    engine: Engine, dsn: str, change: str, after: tuple[int, ...]
) -> None:
    """The rows are the truth, also when there are none any more."""
    job = await mixed_job(engine, dsn)
    await execute(dsn, change)
    found = await reconciled(engine, job.id)
    assert [job.id] == [drift.job_id for drift in found.drifts]
    assert await counters(dsn, job.id) == after


async def test_only_the_job_asked_for_is_repaired(engine: Engine, dsn: str) -> None:
    """Its neighbour in the same domain is read with it and left alone."""
    job, other = await mixed_job(engine, dsn), await mixed_job(engine, dsn)
    await execute(dsn, "UPDATE pacewheel.jobs SET failed = 0")
    found = await reconciled(engine, job.id)
    assert [job.id] == [drift.job_id for drift in found.drifts]
    assert 0 == (await counters(dsn, other.id))[COUNTERS.index("failed")]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_live_tasks_of_a_final_job_are_cancelled_and_counted(
    engine: Engine, dsn: str, status: str
) -> None:
    """What an ended job left behind ends with it, and its counters follow."""
    job = await mixed_job(engine, dsn)
    number = JobState[status.upper()].value
    await execute(dsn, f"UPDATE pacewheel.jobs SET status = {number}, finished_at = now()")
    dry = await reconciled(engine, dry_run=True)
    assert 4 == await live_tasks(dsn)
    found = await reconciled(engine)
    assert {OrphanKind.TASK_OF_FINAL_JOB: 4} == found.orphans == dry.orphans
    assert [] == found.drifts
    assert 0 == await live_tasks(dsn)
    assert (10, 0, 0, 0, 1, 1, 2, 6) == await counters(dsn, job.id)
    assert is_clean(await reconciled(engine))


async def test_more_orphans_than_a_statement_takes_are_all_cancelled(
    engine: Engine, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement has a limit; short batches end the loop."""
    monkeypatch.setattr("pacewheel.services.reconciler.ORPHANS_MAX", 3)
    await mixed_job(engine, dsn)
    await execute(dsn, "UPDATE pacewheel.jobs SET status = 5, finished_at = now()")
    assert {OrphanKind.TASK_OF_FINAL_JOB: 4} == (await reconciled(engine)).orphans
    assert 0 == await live_tasks(dsn)


async def test_live_tasks_without_a_job_are_cancelled_and_counted(engine: Engine, dsn: str) -> None:
    """Pending ones, and waiting ones once they are due and nobody wakes them."""
    await mixed_job(engine, dsn)
    await execute(
        dsn,
        "DELETE FROM pacewheel.jobs",
        "UPDATE pacewheel.tasks SET ready_at = now() - interval '1 hour' WHERE status = 1",
    )
    assert {OrphanKind.TASK_WITHOUT_JOB: 4} == (await reconciled(engine, dry_run=True)).orphans
    assert {OrphanKind.TASK_WITHOUT_JOB: 4} == (await reconciled(engine)).orphans
    assert 0 == await live_tasks(dsn)
    assert is_clean(await reconciled(engine))


@pytest.mark.parametrize("status", [0, 1])
async def test_a_lone_orphan_of_a_job_compared_long_ago_is_found(
    engine: Engine, dsn: str, status: int
) -> None:
    """Among thousands of other tasks, pending or overdue, by a look that steps from job to job."""
    gone = await mixed_job(engine, dsn)
    await gone.cancel()
    for number in range(30):
        tasks = [NewTask(f"x{n}") for n in range(30)]
        await engine.create_job(domain=f"d{number}.example", handler=HANDLER, tasks=tasks)
    await execute(
        dsn,
        f"UPDATE pacewheel.tasks SET status = {status}, ready_at = now() - interval '1 hour',"
        f" waiting_reason = CASE WHEN {status} = 1 THEN 0 END WHERE job_id = {gone.id} AND target = 't1'",
    )
    assert [gone.id] == [job for _, job in await engine.store.counters.find_orphans(10)]


async def test_a_job_that_should_have_ended_is_ended_and_counted(engine: Engine, dsn: str) -> None:
    """Its tasks are final and its discovery is finished, only nobody closed it."""
    job = await mixed_job(engine, dsn)
    await execute(
        dsn,
        "UPDATE pacewheel.tasks SET status = 3, ready_at = NULL, waiting_reason = NULL",
        "UPDATE pacewheel.jobs SET total = 10, pending = 0, waiting = 0, backoff = 0, completed = 10,"
        " failed = 0, skipped = 0, cancelled = 0, discovery_open = false",
    )
    dry = await reconciled(engine, dry_run=True)
    assert JobState.RUNNING is (await job.info()).status
    found = await reconciled(engine)
    assert {OrphanKind.JOB_NOT_ENDED: 1} == found.orphans == dry.orphans
    assert JobState.COMPLETED is (await job.info()).status
    assert is_clean(await reconciled(engine))


async def test_a_job_kept_open_by_a_wrong_counter_is_repaired_and_ended(
    engine: Engine, dsn: str
) -> None:
    """Drift first, then the end that it had held up; an open discovery holds it up for good."""
    stuck, open_job = await mixed_job(engine, dsn), await mixed_job(engine, dsn, "b.example")
    await execute(
        dsn,
        "UPDATE pacewheel.tasks SET status = 3, ready_at = NULL, waiting_reason = NULL",
        f"UPDATE pacewheel.jobs SET discovery_open = (id = {open_job.id})",
    )
    found = await reconciled(engine)
    assert 2 == len(found.drifts)
    assert {OrphanKind.JOB_NOT_ENDED: 1} == found.orphans
    assert JobState.COMPLETED is (await stuck.info()).status
    assert JobState.RUNNING is (await open_job.info()).status


async def test_what_is_in_flight_where_nobody_owns_the_domain_is_pending(
    engine: Engine, dsn: str
) -> None:
    """The ids are cleared and counted; those of an owned domain stay."""
    await mixed_job(engine, dsn, "owned.example")
    await mixed_job(engine, dsn, "free.example")
    await execute(
        dsn,
        "UPDATE pacewheel.domains d SET in_flight = ARRAY(SELECT t.id FROM pacewheel.tasks t"
        " WHERE t.domain_id = d.id AND t.status = 0), owner = CASE name WHEN 'owned.example' THEN 1 END",
    )
    assert {OrphanKind.IN_FLIGHT_WITHOUT_OWNER: 1} == (
        await reconciled(engine, dry_run=True)
    ).orphans
    assert {OrphanKind.IN_FLIGHT_WITHOUT_OWNER: 1} == (await reconciled(engine)).orphans
    rows = await fetch(dsn, "SELECT name, cardinality(in_flight) FROM pacewheel.domains ORDER BY 1")
    assert [("free.example", 0), ("owned.example", 1)] == [tuple(row) for row in rows]


async def test_tasks_that_a_wrong_counter_hid_are_run_as_soon_as_it_is_repaired(dsn: str) -> None:
    """A claim passes over a job that says it has nothing pending; the repair has its owner look."""
    engine = Engine(dsn)
    seen: list[str] = []

    @engine.handler("note")
    async def note(task: Task) -> None:
        seen.append(task.target)

    async with engine:
        job = await engine.create_job(domain="a.example", handler="note", tasks=[NewTask("first")])
        await until(lambda: seen == ["first"])
        await until(lambda: engine._runtime is not None and not engine._runtime.unsettled())
        await execute(
            dsn,
            "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target)"
            " SELECT domain_id, pacewheel.task_id(id, 'hidden'), id, 0, now(), 0, 'hidden' FROM pacewheel.jobs",
        )
        found = await reconciled(engine, job.id)
        assert {"total": (1, 2), "pending": (0, 1)} == found.drifts[0].counters
        await until(lambda: seen == ["first", "hidden"])
