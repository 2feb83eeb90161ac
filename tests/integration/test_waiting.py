"""Why tasks wait: every reason, with what holds them and until when, and no task without one."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Config, Engine, NewTask, Outcome, Task, TaskState, WaitingReason
from pacewheel.errors import JobUnknown, TaskUnknown
from tests.conftest import execute, fetch, until
from tests.integration.test_states import World
from tests.invariants import wrong_counters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pacewheel.engine import Job

SAMPLES = 300
TOLERANCE_MS = 5000
BY_JOB_AND_BY_TASK = """
SELECT job_id, reason, w.tasks AS by_job, t.tasks AS by_task
FROM (SELECT job_id, reason, sum(tasks) AS tasks FROM pacewheel.waiting GROUP BY job_id, reason) w
FULL JOIN (
    SELECT job_id, waiting_reason AS reason, count(*) AS tasks
    FROM pacewheel.task_states
    WHERE state IN ('pending', 'waiting')
    GROUP BY job_id, waiting_reason
) t USING (job_id, reason)
"""


async def work(task: Task) -> Outcome:
    """Behave as the first word of the target says."""
    match task.target.split()[0]:
        case "blocks":
            return Outcome.completed(block_domain_s=1.5)
        case "retries" if task.attempt < 3:
            return Outcome.retry("busy", retry_in_s=0.3)
        case "slow":
            await asyncio.sleep(0.05)
    return Outcome.completed()


async def create(engine: Engine, domain: str, word: str, count: int, **values: Any) -> Job:
    """Create a job of so many tasks that behave alike."""
    return await engine.create_job(
        domain=domain,
        handler="work",
        tasks=[NewTask(f"{word} {n}", ready_in_s=values.get("ready_in_s")) for n in range(count)],
        **{name: value for name, value in values.items() if name != "ready_in_s"},
    )


async def test_at_any_instant_each_task_that_waits_has_one_reason(dsn: str) -> None:
    """Sampled while everything moves: by job and by task the reasons and their sums are the same."""
    engine = Engine(dsn, config=Config(capacity=6))
    engine.handler("work")(work)
    seen: set[str] = set()
    samples = 0
    async with engine:
        await create(engine, "paced", "note", 100, domain_delay_ms=40)
        await create(engine, "paced", "note", 100, priority=1.0)
        await create(engine, "limited", "slow", 100, concurrency=1)
        await create(engine, "scheduled", "note", 200, ready_in_s=1.0)
        paused = await create(engine, "paused", "slow", 200, concurrency=2)
        endless = await create(engine, "capacity", "slow", 300, concurrency=50)

        async def disturb() -> None:
            for turn in range(10_000):
                await create(engine, f"blocks {turn % 3}", "blocks", 3, concurrency=1)
                await create(engine, f"retries {turn % 3}", "retries", 5)
                await (paused.resume if turn % 2 else paused.pause)()
                await endless.enqueue(
                    [NewTask(f"slow {turn} {n}", ready_in_s=n % 2 / 2) for n in range(10)]
                )
                await asyncio.sleep(0.1)

        disturbing = asyncio.create_task(disturb())
        started_s = time.monotonic()
        while samples < SAMPLES or seen != set(WaitingReason):
            rows = await fetch(dsn, BY_JOB_AND_BY_TASK)
            assert [] == [tuple(row) for row in rows if row["by_job"] != row["by_task"]]
            seen |= {row["reason"] for row in rows}
            samples += 1
            assert time.monotonic() < started_s + 120, set(WaitingReason) - seen
        disturbing.cancel()
    assert [] == await wrong_counters(dsn)


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    """A worker whose claims and settles are made by hand."""
    made = World(dsn)
    await made.start()
    yield made
    await made.engine.close()


async def make_wait(world: World, reason: WaitingReason, job: Job) -> None:
    """Have the task `it` of the job wait for this reason, and a second one run where that takes it."""
    dsn = world.dsn
    match reason:
        case WaitingReason.DOMAIN_DELAY:
            await execute(
                dsn,
                "UPDATE pacewheel.domains SET base_delay_ms = 60000,"
                " next_slot_at = now() + interval '30 s'",
            )
        case WaitingReason.DOMAIN_BLOCKED:
            await execute(
                dsn,
                "UPDATE pacewheel.domains SET blocked_until = now() + interval '45 s',"
                " block_reason = 'http_429'",
            )
        case WaitingReason.CONCURRENCY_LIMIT:
            await job.reprioritise_tasks({"it": -5.0})
            await world.claim("a.example")
            await execute(dsn, "UPDATE pacewheel.jobs SET concurrency = 1")
        case WaitingReason.RETRY_BACKOFF:
            ids = await world.claim("a.example")
            await world.settle("a.example", job, ids, TaskState.WAITING)
            await execute(
                dsn,
                "UPDATE pacewheel.tasks SET ready_at = now() + interval '20 s' WHERE status = 1",
            )
        case WaitingReason.SCHEDULED:
            await job.cancel_tasks(["it"])
            await job.enqueue([NewTask("scheduled", key="later", ready_in_s=50)])
        case WaitingReason.JOB_PAUSED:
            await job.pause()


EXPLAINED = {
    WaitingReason.DOMAIN_DELAY: ("domain a.example permits a request every 60000 ms", 30_000),
    WaitingReason.DOMAIN_BLOCKED: ("domain a.example is blocked (http_429)", 45_000),
    WaitingReason.CONCURRENCY_LIMIT: ("job 1 runs 1 of 1", None),
    WaitingReason.RETRY_BACKOFF: ("their own delay after a failed attempt", 20_000),
    WaitingReason.SCHEDULED: ("the time they are scheduled for", 50_000),
    WaitingReason.JOB_PAUSED: ("job 1 is paused", None),
    WaitingReason.WORKER_CAPACITY: (f"a free slot of worker 1 on {socket.gethostname()}", 0),
}


@pytest.mark.parametrize("reason", WaitingReason)
async def test_a_task_says_what_it_waits_for_and_until_when(
    world: World, reason: WaitingReason
) -> None:
    """Holder and time, of the task alone and among the reasons of its job."""
    job = await world.create("a.example", "it", "other")
    await make_wait(world, reason, job)
    key = "later" if reason is WaitingReason.SCHEDULED else "it"
    holder, expected_ms = EXPLAINED[reason]
    task = await job.explain_task(key)
    (waiting,) = [each for each in await job.explain() if each.reason is reason]
    for told in (task, waiting):
        assert (reason, holder) == (told.reason, told.holder)
        if expected_ms is None:
            assert told.expected_in_ms is None
        else:
            assert told.expected_in_ms is not None
            assert 0 <= expected_ms - told.expected_in_ms < TOLERANCE_MS
    assert task.state in {TaskState.PENDING, TaskState.WAITING}
    assert "busy" == task.error or reason is not WaitingReason.RETRY_BACKOFF


async def test_a_retry_in_a_blocked_domain_is_expected_after_both(world: World) -> None:
    """Its own delay of 20 s, the domain's of 45 s: 45 s."""
    job = await world.create("a.example", "it", "other")
    await make_wait(world, WaitingReason.RETRY_BACKOFF, job)
    await make_wait(world, WaitingReason.DOMAIN_BLOCKED, job)
    task = await job.explain_task("it")
    assert WaitingReason.RETRY_BACKOFF is task.reason
    assert 45_000 - TOLERANCE_MS < (task.expected_in_ms or 0) <= 45_000


@pytest.mark.parametrize(
    ("gap_ms", "startable", "behind", "behind_in_ms"),
    [
        (60_000, 1, WaitingReason.DOMAIN_DELAY, 60_000),
        (0, 2, WaitingReason.CONCURRENCY_LIMIT, None),
    ],
    ids=["paced", "limited"],
)
async def test_only_what_may_start_now_waits_for_a_worker(
    world: World, gap_ms: int, startable: int, behind: WaitingReason, behind_in_ms: int | None
) -> None:
    """The first in line; what stands behind them waits for the pace, or for the job's limit."""
    job = await world.create("a.example", *(f"t{n}" for n in range(6)))
    await world.claim("a.example")
    await execute(
        world.dsn,
        f"UPDATE pacewheel.domains SET base_delay_ms = {gap_ms}",
        "UPDATE pacewheel.jobs SET concurrency = 3",
    )
    found = {each.reason: (each.tasks, each.expected_in_ms) for each in await job.explain()}
    assert {
        WaitingReason.WORKER_CAPACITY: (startable, 0),
        behind: (5 - startable, behind_in_ms),
    } == found
    reasons = [(await job.explain_task(f"t{n}")).reason for n in range(6)]
    capacity = WaitingReason.WORKER_CAPACITY
    assert [None, *[capacity] * startable, *[behind] * (5 - startable)] == reasons
    page = await world.engine.store.overview.list_tasks(job.id, state=TaskState.PENDING)
    assert reasons[1:] == [row.reason for row in page.tasks]
    totals = await world.engine.store.overview.count_totals()
    assert (startable, 5 - startable) == (
        totals.waiting_by_reason[capacity],
        totals.waiting_by_reason[behind],
    )
    assert (capacity, 0) == ((info := await job.info()).waiting_reason, info.next_start_in_ms)


async def test_slow_answers_hold_a_domain_back_without_a_gap_of_its_own(world: World) -> None:
    """The gap that its owner keeps stands in no row, the next slot does."""
    job = await world.create("a.example", "it", "other")
    await execute(world.dsn, "UPDATE pacewheel.domains SET next_slot_at = now() + interval '40 s'")
    (waiting,) = await job.explain()
    assert (WaitingReason.DOMAIN_DELAY, 2, "domain a.example answers slowly") == (
        waiting.reason,
        waiting.tasks,
        waiting.holder,
    )
    assert 40_000 - TOLERANCE_MS < (waiting.expected_in_ms or 0) <= 40_000
    info = await world.engine.store.overview.get_domain("a.example")
    assert 40_000 - TOLERANCE_MS < info.next_slot_in_ms <= 40_000


async def test_where_nobody_works_all_tasks_wait_for_a_worker(world: World) -> None:
    """Its lease has run out, and nobody is there to say so: no gate lets anything through."""
    job = await world.create("a.example", "it", "other", "third")
    await execute(
        world.dsn,
        "UPDATE pacewheel.domains SET base_delay_ms = 1000",
        "UPDATE pacewheel.workers SET lease_until = now() - interval '1 s'",
    )
    (waiting,) = await job.explain()
    assert (WaitingReason.WORKER_CAPACITY, 3, None) == (
        waiting.reason,
        waiting.tasks,
        waiting.expected_in_ms,
    )
    assert "no worker that knows handler note holds domain a.example yet" == waiting.holder
    info = await job.info()
    assert (WaitingReason.WORKER_CAPACITY, 0) == (info.waiting_reason, info.workers_alive)


async def test_what_lacks_a_worker_says_so(world: World) -> None:
    """Nobody holds the domain, or who holds it does not know the handler."""
    job = await world.create("a.example", "it")
    other = await world.engine.create_job(
        domain="a.example", handler="unknown", tasks=[NewTask("t")]
    )
    task = await other.explain_task("t")
    assert (
        f"worker 1 on {socket.gethostname()} holds domain a.example and runs no handler unknown"
        == task.holder
    )
    await world.release("a.example")
    task = await job.explain_task("it")
    assert "no worker that knows handler note holds domain a.example yet" == task.holder
    assert task.owner is None


async def test_running_and_final_tasks_wait_for_nothing(world: World) -> None:
    """They have a state, and an owner while they run; what there is not is an error."""
    job = await world.create("a.example", "it")
    ids = await world.claim("a.example")
    task = await job.explain_task("it")
    assert (TaskState.RUNNING, None, None, world.worker) == (
        task.state,
        task.reason,
        task.holder,
        task.owner,
    )
    assert [] == await job.explain()
    await world.settle("a.example", job, ids, TaskState.FAILED)
    task = await job.explain_task("it")
    assert (TaskState.FAILED, None, None, None, 1, "broken") == (
        task.state,
        task.reason,
        task.holder,
        task.owner,
        task.attempt,
        task.error,
    )
    with pytest.raises(TaskUnknown, match="nowhere"):
        await job.explain_task("nowhere")
    await execute(world.dsn, "DELETE FROM pacewheel.jobs")
    with pytest.raises(JobUnknown):
        await job.explain_task("it")


async def test_a_task_starts_when_it_was_expected_to(dsn: str) -> None:
    """In a domain with a gap of a second."""
    engine = Engine(dsn)
    started: list[float] = []

    @engine.handler("work")
    async def note(_task: Task) -> None:
        started.append(time.monotonic())

    async with engine:
        job = await create(engine, "paced", "note", 2, domain_delay_ms=1000)
        await until(lambda: len(started) == 1)

        async def is_explained() -> bool:
            return [WaitingReason.DOMAIN_DELAY] == [each.reason for each in await job.explain()]

        await until(is_explained)
        (waiting,) = await job.explain()
        expected_s = time.monotonic() + (waiting.expected_in_ms or 0) / 1000
        await until(lambda: len(started) == 2)
    # A busy machine may be late, by less than the next gap.
    assert -0.3 < started[1] - expected_s < 0.9


async def test_waiting_times_are_observed_by_reason(dsn: str) -> None:
    """Five tasks each: the sums are those of their gap, their limit, their delays and their block."""
    engine = Engine(dsn)
    engine.handler("work", backoff_s=0.01)(work)

    def total(reason: str) -> float:
        return engine.metrics.value("pacewheel_waiting_seconds_sum", reason=reason)

    def count(reason: str) -> float:
        return engine.metrics.value("pacewheel_waiting_seconds_count", reason=reason)

    async with engine:
        await create(engine, "paced", "note", 5, domain_delay_ms=200)
        await until(lambda: count("domain_delay") == 4)
        assert 2.0 - 0.2 < total("domain_delay") < 2.0 + 1.5
        await create(engine, "limited", "slow", 5, concurrency=1)
        await until(lambda: count("concurrency_limit") == 4)
        assert 0.5 - 0.1 < total("concurrency_limit") < 0.5 + 1.5
        job = await create(engine, "delayed", "note", 0)
        await job.enqueue([NewTask(f"note {n}", ready_in_s=0.4) for n in range(5)])
        by_sql = f"SELECT pacewheel.enqueue({job.id}, 'note', ready_in => interval '500 ms')"
        await execute(dsn, by_sql)
        await until(lambda: count("scheduled") == 6)
        assert pytest.approx(5 * 0.4 + 0.5) == total("scheduled")
        await create(engine, "failing", "retries", 5)
        await until(lambda: count("retry_backoff") == 10)
        assert pytest.approx(3.0) == total("retry_backoff")
        await create(engine, "blocking", "blocks", 1)
        blocked = "SELECT FROM pacewheel.domains WHERE name = 'blocking' AND blocked_until > now()"

        async def is_blocked() -> bool:
            return bool(await fetch(dsn, blocked))

        await until(is_blocked)
        job = await engine.create_job(domain="blocking", handler="work", tasks=[NewTask("note")])
        await until(lambda: count("domain_blocked") >= 1)
        (left_s,) = await fetch(
            dsn,
            "SELECT extract(epoch FROM d.blocked_until - t.created_at)::float8 FROM pacewheel.tasks t"
            " JOIN pacewheel.domains d ON d.id = t.domain_id WHERE t.job_id = $1",
            job.id,
        )
        assert 0 < left_s[0] <= total("domain_blocked") < left_s[0] + 3
    for reason in WaitingReason:
        name = "pacewheel_waiting_seconds_bucket"
        labels = {"reason": reason.value, "le": "+Inf"}
        assert engine.metrics.registry.get_sample_value(name, labels) == count(reason)


async def test_only_a_job_that_nothing_asks_to_wait_is_stuck(world: World) -> None:
    """Not a paused, scheduled, blocked or slowly paced one, nor one whose tasks are new."""
    engine = world.engine
    orphan = await create(engine, "orphan", "t", 3)
    await (await create(engine, "paused", "t", 3)).pause()
    await create(engine, "scheduled", "t", 3, ready_in_s=3600)
    await create(engine, "blocked", "t", 3)
    await create(engine, "slow", "t", 3, domain_delay_ms=3_000_000)
    shared = await create(engine, "shared", "t", 3, domain_delay_ms=400_000)
    for _ in range(4):
        await create(engine, "shared", "t", 3)
    old = [
        "UPDATE pacewheel.jobs SET created_at = now() - interval '1 hour'",
        "UPDATE pacewheel.tasks SET created_at = now() - interval '1 hour'",
        (
            "UPDATE pacewheel.domains SET blocked_until = now() + interval '1 s', block_reason = 'http_503'"
            " WHERE name = 'blocked'"
        ),
    ]
    await execute(world.dsn, *old)
    fresh = await create(engine, "fresh", "t", 3)
    await execute(
        world.dsn,
        f"UPDATE pacewheel.jobs SET created_at = now() - interval '1 hour' WHERE id = {fresh.id}",
    )
    (stuck,) = await engine.find_stuck_jobs()
    assert (orphan.id, "orphan", 3, WaitingReason.WORKER_CAPACITY) == (
        stuck.job_id,
        stuck.domain,
        stuck.tasks,
        stuck.reason,
    )
    assert "no worker that knows handler work" in stuck.holder
    assert 3600 <= stuck.idle_s < 3700
    await execute(
        world.dsn,
        "UPDATE pacewheel.jobs SET created_at = now() - interval '2 hours'",
        "UPDATE pacewheel.tasks SET created_at = now() - interval '2 hours'",
    )
    found = [each.job_id for each in await engine.find_stuck_jobs()]
    assert {orphan.id, fresh.id, shared.id} < set(found)
    # One whose first task may start, with others behind it, is one stuck job, and all its tasks are.
    await execute(
        world.dsn,
        "UPDATE pacewheel.domains SET owner = 1 WHERE name = 'shared'",
        "UPDATE pacewheel.workers SET handlers = '{work}'",
    )
    once = await engine.find_stuck_jobs()
    assert found == [each.job_id for each in once]
    assert (3, WaitingReason.WORKER_CAPACITY) == next(
        (each.tasks, each.reason) for each in once if each.job_id == shared.id
    )
    assert [] == await engine.find_stuck_jobs(8000)
