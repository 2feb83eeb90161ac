"""The read model: what it says is what is so, in the order and in the parts that were asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pacewheel import Config, Engine, NewTask, Outcome, Task, TaskState, WaitingReason
from pacewheel.errors import ConfigInvalid, DomainUnknown, JobUnknown, TaskUnknown
from pacewheel.overview import DomainSort, WorkerState
from pacewheel.store import overview as overview_module
from tests.conftest import PROMPT, execute, fetch, until

if TYPE_CHECKING:
    from pacewheel.job import Job
    from pacewheel.overview import TaskPage, TaskRow

WORKERS = (
    "INSERT INTO pacewheel.workers (host, pid, version, capacity, held, connections, handlers,"
    " lease_until, dead_at) VALUES"
    " ('a', 1, '1', 64, 2, 10, '{h}', now() + interval '10 s', NULL),"
    " ('b', 2, '1', 64, 1, 10, '{}', now() + interval '10 s', NULL),"
    " ('c', 3, '1', 64, 0, 10, '{h}', now() - interval '1 s', NULL),"
    " ('d', 4, '1', 64, 0, 10, '{h}', now() + interval '10 s', now()),"
    " ('e', 5, '1', 64, 3, 10, '{h}', now() - interval '9 s', now())"
)


async def work_of(engine: Engine, domain: str, tasks: int, **values: object) -> Job:
    """Create a job of so many tasks."""
    new = [NewTask(f"t{n}", key=f"k{n}", priority=n / 10) for n in range(tasks)]
    return await engine.create_job(domain=domain, handler="h", tasks=new, **values)  # type: ignore[arg-type]


async def test_totals_are_the_sums_over_live_jobs(dsn: str, engine: Engine) -> None:
    """Final jobs are in none of them, and the reasons sum up to what waits."""
    empty = await engine.store.overview.count_totals()
    assert (0, 0, 0) == (empty.jobs_active, empty.live, sum(empty.waiting_by_reason.values()))
    assert set(WaitingReason) == set(empty.waiting_by_reason)
    await work_of(engine, "a.example", 5, domain_delay_ms=60_000)
    paused = await work_of(engine, "b.example", 3)
    await paused.pause()
    blocked = await work_of(engine, "c.example", 2)
    await blocked.enqueue([NewTask("later", ready_in_s=3600)])
    final = await work_of(engine, "a.example", 7)
    await final.cancel()
    await execute(
        dsn,
        WORKERS,
        "UPDATE pacewheel.domains SET next_slot_at = now() + interval '90 s', owner = 1, in_flight ="
        " ARRAY(SELECT id FROM pacewheel.tasks WHERE job_id = 1 LIMIT 2) WHERE id = 1",
        "UPDATE pacewheel.domains SET blocked_until = now() + interval '90 s' WHERE name = 'c.example'",
        "UPDATE pacewheel.jobs SET completed = 4, failed = 3, skipped = 2, cancelled = 1 WHERE id = 1",
    )
    totals = await engine.store.overview.count_totals()
    assert (3, 1, 3, 1, 2) == (
        totals.jobs_active,
        totals.jobs_paused,
        totals.domains_active,
        totals.domains_blocked,
        totals.workers_alive,
    )
    assert (8, 1, 2, 11) == (totals.pending, totals.waiting, totals.running, totals.live)
    assert (4, 3, 2, 1) == (totals.completed, totals.failed, totals.skipped, totals.cancelled)
    assert (
        dict.fromkeys(WaitingReason, 0)
        | {
            WaitingReason.DOMAIN_DELAY: 3,
            WaitingReason.JOB_PAUSED: 3,
            WaitingReason.DOMAIN_BLOCKED: 2,
            WaitingReason.SCHEDULED: 1,
        }
        == totals.waiting_by_reason
    )

    async def counted() -> bool:
        # PostgreSQL 14 tells what a connection did when it does something else: all of them do.
        looks = (engine.store.overview.count_totals() for _ in range(8))
        return 18 == max(totals.enqueued for totals in await asyncio.gather(*looks))

    # The server's statistics come up to a second late.
    await until(counted)


async def test_domains_are_listed_searched_and_sorted(dsn: str, engine: Engine) -> None:
    """The live ones in any order, all by name, a page at a time."""
    for name, tasks, delay_ms in (
        ("b.example", 5, 500),
        ("A.example", 2, 60_000),
        ("c.test", 9, 0),
    ):
        await work_of(engine, name, tasks, domain_delay_ms=delay_ms)
    await (await work_of(engine, "idle.example", 1)).cancel()
    await execute(
        dsn,
        "UPDATE pacewheel.domains SET blocked_until = now() + interval '1 h' WHERE name = 'c.test'",
        "UPDATE pacewheel.domains SET next_slot_at = now() + interval '9 s', refused_at = now()"
        " WHERE name = 'b.example'",
        "UPDATE pacewheel.domains SET next_slot_at = now() + interval '5 s' WHERE name = 'A.example'",
    )

    async def names(**how: object) -> list[str]:
        found = await engine.store.overview.list_domains(**how)  # type: ignore[arg-type]
        return [info.name for info in found]

    assert ["A.example", "b.example", "c.test"] == sorted(await names())
    assert ["c.test", "b.example", "A.example"] == await names(sort=DomainSort.LIVE)
    assert ["A.example", "b.example", "c.test"] == await names(sort=DomainSort.GAP)
    assert "c.test" == (await names(sort=DomainSort.BLOCKED))[0]
    assert "b.example" == (await names(sort=DomainSort.REFUSED))[0]
    assert ["c.test", "A.example", "b.example"] == await names(sort=DomainSort.NEXT)
    assert ["b.example"] == await names(sort=DomainSort.LIVE, limit=1, offset=1)
    assert {"A.example", "b.example"} == set(await names(search="EXAMPLE"))
    assert {"A.example", "b.example", "idle.example"} == set(
        await names(search="example", live_only=False)
    )
    assert ["idle.example"] == await names(search="idle", live_only=False, limit=5)
    with pytest.raises(ConfigInvalid, match="listed by name, not by gap"):
        await names(live_only=False, sort=DomainSort.GAP)


async def test_a_domain_says_what_its_gap_consists_of_and_until_when_it_is_shut(
    dsn: str, engine: Engine
) -> None:
    """The parts of the gap, the next slot, the block with its reason, and what runs."""
    await work_of(engine, "a.example", 4, domain_delay_ms=500)
    await work_of(engine, "a.example", 3)
    calm = await engine.store.overview.get_domain("a.example")
    assert (0.0, None, None, None) == (
        calm.next_slot_in_ms,
        calm.blocked_in_ms,
        calm.block_reason,
        calm.refused_at,
    )
    await execute(
        dsn,
        "UPDATE pacewheel.domains SET owner = 7, robots_delay_ms = 1000, adaptive_delay_ms = 4000,"
        " failures = 2, next_slot_at = now() + interval '90 s',"
        " blocked_until = now() + interval '60 s', in_flight ="
        " ARRAY(SELECT id FROM pacewheel.tasks WHERE job_id = 1 LIMIT 3)",
        "UPDATE pacewheel.jobs SET completed = 6, failed = 1 WHERE id = 2",
    )
    info = await engine.store.overview.get_domain("a.example")
    assert (4000, 500, 1000, 4000) == (
        info.gap_ms,
        info.base_delay_ms,
        info.robots_delay_ms,
        info.adaptive_delay_ms,
    )
    assert 80_000 < info.next_slot_in_ms <= 90_000
    assert info.blocked_in_ms is not None
    assert 50_000 < info.blocked_in_ms <= 60_000
    assert ("retry_after", 7, 2) == (info.block_reason, info.owner, info.failures)
    assert (2, 4, 0, 3, 7) == (info.live_jobs, info.pending, info.waiting, info.running, info.live)
    assert (6, 1) == (info.completed, info.failed)
    await execute(
        dsn,
        "UPDATE pacewheel.domains SET block_reason = 'circuit_open', blocked_until = '-infinity'",
    )
    opened = await engine.store.overview.get_domain("a.example")
    assert (0.0, "circuit_open") == (opened.blocked_in_ms, opened.block_reason)
    # A pause that is over leaves its reason in the row: it is no reason of now.
    await execute(dsn, "UPDATE pacewheel.domains SET block_reason = 'retry_after'")
    over = await engine.store.overview.get_domain("a.example")
    assert (None, None) == (over.blocked_in_ms, over.block_reason)
    with pytest.raises(DomainUnknown, match=r"there is no domain 'b\.example'"):
        await engine.store.overview.get_domain("b.example")


async def test_workers_say_how_they_are_and_what_they_run(dsn: str, engine: Engine) -> None:
    """Five ways to be, the living first; of the ended ones as many as are asked for."""
    await work_of(engine, "a.example", 4)
    await execute(
        dsn,
        WORKERS,
        "UPDATE pacewheel.domains SET owner = 1, in_flight ="
        " ARRAY(SELECT id FROM pacewheel.tasks WHERE job_id = 1 LIMIT 3)",
    )
    found = await engine.store.overview.list_workers()
    assert [
        ("a", WorkerState.ALIVE, 2, 3),
        ("b", WorkerState.DRAINING, 1, 0),
        ("c", WorkerState.EXPIRED, 0, 0),
        ("d", WorkerState.ENDED, 0, 0),
        ("e", WorkerState.LOST, 0, 0),
    ] == [(info.host, info.state, info.domains, info.running) for info in found]
    assert found[0].lease_in_ms is not None
    assert 9_000 < found[0].lease_in_ms <= 10_000
    assert (None, None) == (found[0].ended_at, found[3].lease_in_ms)
    assert found[4].ended_at is not None
    assert ["a", "b", "c"] == [
        info.host for info in await engine.store.overview.list_workers(ended=0)
    ]


async def everything(
    engine: Engine, job_id: int, state: TaskState | None, limit: int
) -> list[TaskRow]:
    """Read a list to its end."""
    rows: list[TaskRow] = []
    after = None
    while True:
        page: TaskPage = await engine.store.overview.list_tasks(
            job_id, state=state, limit=limit, after=after
        )
        rows += page.tasks
        after = page.after
        if after is None:
            return rows


async def fill_states(dsn: str, engine: Engine) -> int:
    """Have five tasks in each state, and another job in the same domain; return the job's id."""
    job = await work_of(engine, "a.example", 35, domain_delay_ms=1000)
    await work_of(engine, "a.example", 35)
    await execute(
        dsn,
        "UPDATE pacewheel.tasks SET status = substring(key FROM 2)::integer / 5, finished_at = now(),"
        " ready_at = now() + (substring(key FROM 2)::integer % 3) * interval '1 h',"
        " waiting_reason = 1 WHERE key >= 'k'",
        "UPDATE pacewheel.tasks SET status = 0, ready_at = NULL WHERE status IN (0, 2)",
        "UPDATE pacewheel.domains SET claimed_at = now(), next_slot_at = now() + interval '1 h',"
        " in_flight = ARRAY(SELECT id FROM pacewheel.tasks"
        " WHERE substring(key FROM 2)::integer BETWEEN 10 AND 14)",
    )
    return job.id


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_tasks_of_each_state_are_read_page_by_page(
    dsn: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """None twice, none missed, none of another job, also where only some rows are looked at a page."""
    monkeypatch.setattr(overview_module, "LOOKED_AT_MAX", 7)
    job_id = await fill_states(dsn, engine)
    for state in (None, *TaskState):
        rows = await everything(engine, job_id, state, limit)
        states = list(TaskState) if state is None else [state]
        expected = sorted(f"k{5 * each + n}" for each in states for n in range(5))
        assert expected == sorted(row.key for row in rows)
        assert all(row.state == int(row.key[1:]) // 5 for row in rows)
        check_order(rows, state)


def check_order(rows: list[TaskRow], state: TaskState | None) -> None:
    """Check in which order a state's tasks come, and that those that wait say why."""
    if state is TaskState.PENDING:
        assert ["k4", "k3", "k2", "k1", "k0"] == [row.key for row in rows]
        assert {WaitingReason.DOMAIN_DELAY} == {row.reason for row in rows}
    elif state is TaskState.WAITING:
        assert sorted(row.ready_at for row in rows) == [row.ready_at for row in rows]  # type: ignore[type-var]
        assert {WaitingReason.SCHEDULED} == {row.reason for row in rows}
    else:
        assert sorted(row.id for row in rows) == [row.id for row in rows]


async def test_lists_of_nothing_and_wrong_cursors(engine: Engine) -> None:
    """An empty job has an empty page; what no page said is refused."""
    job = await work_of(engine, "a.example", 0)
    assert ((), None) == (
        tuple((page := await engine.store.overview.list_tasks(job.id)).tasks),
        page.after,
    )
    with pytest.raises(JobUnknown):
        await engine.store.overview.list_tasks(9)
    for after in ("x", "", "1@x", "1@nan", str(2**63), "1.5"):
        with pytest.raises(ConfigInvalid, match="give what the page before said"):
            await engine.store.overview.list_tasks(job.id, after=after)


async def test_a_task_tells_its_attempts(dsn: str) -> None:
    """By its id alone, by job and id, by job and key; the last attempt first."""
    engine = Engine(dsn, config=Config(**PROMPT))

    @engine.handler("h", backoff_s=0.01)
    async def handler(task: Task) -> Outcome:
        if task.attempt == 1:
            return Outcome.retry("busy", retry_in_s=0.01, http_status=503)
        return Outcome.completed(http_status=200, bytes=12, cache="hit", detail={"a": 1})

    async with engine:
        job = await engine.create_job(
            domain="a.example", handler="h", tasks=[NewTask("t", key="k")], discovery_open=False
        )

        async def ended() -> bool:
            return (await job.info()).status.is_final

        await until(ended)
        read = engine.store.overview
        detail = await read.find_task(job.id, "k")
        assert ("k", "t", TaskState.COMPLETED, 2) == (
            detail.task.key,
            detail.task.target,
            detail.task.state,
            detail.task.attempt,
        )
        assert [
            (2, TaskState.COMPLETED, None, 200, 12, "hit", {"a": 1}),
            (1, TaskState.WAITING, "busy", 503, None, None, None),
        ] == [
            (
                each.attempt,
                each.outcome,
                each.error,
                each.http_status,
                each.bytes,
                each.cache,
                each.detail,
            )
            for each in detail.attempts
        ]
        assert detail == await read.get_task(detail.task.id)
        assert detail == await read.get_task(detail.task.id, job_id=job.id)
        (row,) = (await read.list_tasks(job.id, state=TaskState.COMPLETED)).tasks
        assert (detail.task.id, 200, 12, "hit") == (row.id, row.http_status, row.bytes, row.cache)
        for missing in (
            read.get_task(7),
            read.get_task(7, job_id=job.id),
            read.find_task(job.id, "no"),
        ):
            with pytest.raises(TaskUnknown):
                await missing
        other = await work_of(engine, "b.example", 0)
        with pytest.raises(TaskUnknown, match=f"in job {other.id}"):
            await read.get_task(detail.task.id, job_id=other.id)
        with pytest.raises(JobUnknown):
            await read.get_task(detail.task.id, job_id=99)

        async def counted() -> bool:
            return 2 == (await read.count_totals()).attempts

        await until(counted)
    assert [(2,)] == [
        tuple(row) for row in await fetch(dsn, "SELECT count(*) FROM pacewheel.results")
    ]


async def test_totals_read_while_others_work_agree_with_themselves(dsn: str) -> None:
    """One snapshot each: live tasks and reasons sum up whatever is being claimed and settled."""
    engine = Engine(dsn, config=Config(**PROMPT))

    @engine.handler("h")
    async def handler(_task: Task) -> None:
        await asyncio.sleep(0.001)

    async with engine:
        jobs = [await work_of(engine, f"{n}.example", 200) for n in range(4)]
        seen_running = 0
        while True:
            totals = await engine.store.overview.count_totals()
            settled = totals.completed + totals.failed + totals.skipped + totals.cancelled
            assert totals.total == totals.live + settled
            assert totals.pending + totals.waiting == sum(totals.waiting_by_reason.values())
            seen_running = max(seen_running, totals.running)
            if not totals.live:
                break
        assert seen_running > 0
        assert 800 == sum([(await job.info()).completed for job in jobs])
