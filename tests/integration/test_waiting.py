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
from tests.invariants import wrong_counters

if TYPE_CHECKING:
    from pacewheel.engine import Job
    from tests.integration.world import World

SAMPLES = 150
# What a busy machine may add to a waiting time, and no wrong unit would.
LATE_S = 60.0
TOLERANCE_MS = 10_000
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
            assert time.monotonic() < started_s + 240, set(WaitingReason) - seen
        disturbing.cancel()
    assert [] == await wrong_counters(dsn)


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
    assert [1, 0] == [(await each.info()).workers_alive for each in (job, other)]
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
    """In a domain with a gap of two seconds."""
    engine = Engine(dsn)
    started = 0
    expected_s: list[float] = []

    @engine.handler("work")
    async def note(_task: Task) -> None:
        nonlocal started
        started += 1

    async with engine:
        job = await create(engine, "paced", "note", 2, domain_delay_ms=2000)

        async def is_explained() -> bool:
            began_s = time.time()
            expected_s[:] = [
                began_s + (each.expected_in_ms or 0) / 1000
                for each in await job.explain()
                if each.reason is WaitingReason.DOMAIN_DELAY and each.tasks == 1
            ]
            expected_s.append(time.time() - began_s)
            return len(expected_s) == 2

        await until(is_explained)
        await until(lambda: started == 2)
    (row,) = await fetch(
        dsn, "SELECT extract(epoch FROM max(departed_at))::float8 FROM pacewheel.results"
    )
    earliest_s, asking_took_s = expected_s
    assert earliest_s - 0.1 < row[0]
    # A busy machine may be late, but said no time that has nothing to do with the start.
    assert row[0] < earliest_s + asking_took_s + 30


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
        late = "worker_capacity"
        await until(lambda: count("domain_delay") + count(late) == 5)
        assert 2.0 - 0.2 < total("domain_delay") + total(late)
        # What departed within two gaps was not late at its claim, on however busy a machine.
        in_time = "SELECT count(*) FROM pacewheel.results WHERE apart_ms <= 400"
        assert (await fetch(dsn, in_time))[0][0] <= count("domain_delay") <= 4
        await create(engine, "limited", "slow", 5, concurrency=1)
        await until(lambda: count("concurrency_limit") == 4)
        assert 0.5 - 0.1 < total("concurrency_limit") < 0.5 + LATE_S
        job = await create(engine, "delayed", "note", 0)
        await job.enqueue([NewTask(f"note {n}", ready_in_s=0.4) for n in range(5)])
        by_sql = f"SELECT pacewheel.enqueue({job.id}, 'note', ready_in => interval '500 ms')"
        await execute(dsn, by_sql)
        await until(lambda: count("scheduled") == 6)
        assert pytest.approx(5 * 0.4 + 0.5) == total("scheduled")
        await create(engine, "failing", "retries", 5)
        await until(lambda: count("retry_backoff") == 10)
        assert pytest.approx(3.0) == total("retry_backoff")
        await create(engine, "blocking", "blocks", 2, concurrency=1)
        await until(lambda: count("domain_blocked") == 1)
        assert 1.5 <= total("domain_blocked") < 1.5 + LATE_S
    for reason in WaitingReason:
        name = "pacewheel_waiting_seconds_bucket"
        labels = {"reason": reason.value, "le": "+Inf"}
        assert engine.metrics.registry.get_sample_value(name, labels) == count(reason)


async def test_a_slot_that_passes_for_lack_of_a_worker_is_no_wait_for_the_pace(dsn: str) -> None:
    """One worker for two domains, busy for three gaps a task: its tasks waited for it."""
    engine = Engine(dsn, config=Config(capacity=1))

    @engine.handler("work")
    async def work(_task: Task) -> None:
        await asyncio.sleep(0.15)

    await engine.connect()
    for domain in ("a", "b"):
        tasks = [NewTask(f"{n}") for n in range(4)]
        await engine.create_job(
            domain=domain, handler="work", domain_delay_ms=50, tasks=tasks, discovery_open=False
        )
    await engine.run_until_idle()
    name = "pacewheel_waiting_seconds_count"
    # One may be claimed ahead, to see whether anything waits, as soon as its slot comes.
    assert 6 <= engine.metrics.value(name, reason="worker_capacity") <= 8


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
            "UPDATE pacewheel.domains SET blocked_until = now() + interval '1 min', block_reason = 'http_503'"
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
    # A job whose first task may start, with others behind it, is one stuck job with all its tasks.
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
