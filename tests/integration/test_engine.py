"""One engine on a real database: what handlers say, and what becomes of their tasks."""

from __future__ import annotations

import asyncio
import math

import pytest

from pacewheel import Config, Engine, JobState, NewTask, Outcome, Task
from pacewheel.errors import ConfigInvalid, DataRefused, JobFinal, JobUnknown
from tests.conftest import BY_HINTS_ALONE, fetch, until


async def states(dsn: str) -> dict[str, str]:
    """Return each task's state by target."""
    rows = await fetch(dsn, "SELECT target, state FROM pacewheel.task_states")
    return {row["target"]: row["state"] for row in rows}


async def test_every_task_is_run_once_and_the_job_completes(dsn: str) -> None:
    """A thousand tasks are each handled once; counters and job agree."""
    engine = Engine(dsn)
    seen: list[str] = []

    @engine.handler("note")
    async def note(task: Task) -> None:
        seen.append(task.target)

    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note", concurrency=50)
    counts = await job.enqueue([NewTask(f"t{n}") for n in range(1000)])
    await job.finish_discovery()
    await engine.run_until_idle()

    assert (1000, 0, 0) == (counts.inserted, counts.known, counts.over_limit)
    assert sorted(f"t{n}" for n in range(1000)) == sorted(seen)
    (row,) = await fetch(
        dsn, "SELECT status, total, pending, waiting, completed FROM pacewheel.jobs"
    )
    assert (JobState.COMPLETED, 1000, 0, 0, 1000) == tuple(row)
    (results,) = await fetch(dsn, "SELECT count(*) FROM pacewheel.results WHERE outcome = 3")
    assert 1000 == results[0]


async def test_higher_priorities_start_first(dsn: str) -> None:
    """With one slot, tasks start in order of priority, however they were enqueued."""
    engine = Engine(dsn, config=Config(capacity=1))
    seen: list[str] = []

    @engine.handler("note")
    async def note(task: Task) -> None:
        seen.append(task.target)

    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note", concurrency=1)
    await job.enqueue([NewTask(f"t{n}", priority=(n * 7 % 10) / 10) for n in range(10)])
    await job.finish_discovery()
    await engine.run_until_idle()

    assert [f"t{n}" for n in sorted(range(10), key=lambda n: -(n * 7 % 10))] == seen


async def test_a_key_is_taken_once_and_max_tasks_is_a_limit(dsn: str) -> None:
    """Known keys are counted, not inserted; what exceeds max_tasks is refused and counted."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note", max_tasks=5)
    first = await job.enqueue([NewTask("a"), NewTask("b"), NewTask("a"), NewTask("c", key="b")])
    second = await job.enqueue([NewTask("a"), *(NewTask(f"n{n}") for n in range(6))])
    await engine.close()

    assert (2, 2, 0) == (first.inserted, first.known, first.over_limit)
    assert (3, 1, 3) == (second.inserted, second.known, second.over_limit)


async def test_a_task_beyond_the_limit_takes_no_place_of_it(dsn: str) -> None:
    """The limit grows with it, whether it is reached or not; a known one changes nothing."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note", max_tasks=3)
    beyond = NewTask("x", beyond_limit=True)
    first = await job.enqueue([NewTask("a"), beyond, NewTask("b"), beyond])
    second = await job.enqueue(
        [beyond, NewTask("y", beyond_limit=True), NewTask("c"), NewTask("d")]
    )
    third = await job.enqueue([NewTask("z", beyond_limit=True), NewTask("e")])
    info = await job.info()
    await engine.close()

    assert (3, 1, 0) == (first.inserted, first.known, first.over_limit)
    assert (2, 1, 1) == (second.inserted, second.known, second.over_limit)
    assert (1, 0, 1) == (third.inserted, third.known, third.over_limit)
    assert (6, 6) == (info.total, info.max_tasks)


async def test_keys_whose_hashes_collide_are_different_tasks(dsn: str) -> None:
    """A key that meets another's id is kept under the next probe, and known the second time."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note")
    (hashed,) = await fetch(dsn, "SELECT pacewheel.task_id($1, 'wanted')", job.id)
    await fetch(
        dsn,
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target) "
        "SELECT domain_id, $1, id, 0, now(), 0, 'squatter' FROM pacewheel.jobs",
        hashed[0],
    )
    first = await job.enqueue([NewTask("wanted")])
    again = await job.enqueue([NewTask("wanted")])
    await engine.close()

    assert (1, 0) == (first.inserted, first.known)
    assert (0, 1) == (again.inserted, again.known)
    assert {"squatter", "wanted"} == set(await states(dsn))


async def test_handlers_that_raise_hang_or_return_nonsense_settle_their_tasks(dsn: str) -> None:
    """Each misbehaviour ends as a failed task with its class, after the attempts it is worth."""
    engine = Engine(dsn)
    calls: dict[str, int] = {}

    @engine.handler("odd", timeout_s=0.2, attempts=2, backoff_s=0.01)
    async def odd(task: Task) -> Outcome | None:
        calls[task.target] = calls.get(task.target, 0) + 1
        match task.target:
            case "raises":
                raise ValueError("broken\0 on purpose")
            case "hangs":
                await asyncio.sleep(60)
            case "swallows":
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    return Outcome.completed()
            case "nonsense":
                return 42  # type: ignore[return-value]  # on purpose
            case "cancels":
                raise asyncio.CancelledError
            case "skips":
                return Outcome.skipped("not_today")
            case "unstorable":
                return Outcome.completed(detail={"text": "\0"}, documents={"a": "\0"})
        return None

    names = ["raises", "hangs", "swallows", "nonsense", "cancels", "skips", "unstorable", "fine"]
    await engine.connect()
    job = await engine.create_job(
        domain="a.example",
        handler="odd",
        tasks=[NewTask(name) for name in names],
        discovery_open=False,
    )
    await engine.run_until_idle()

    expected = dict.fromkeys(names, "failed") | {"skips": "skipped", "fine": "completed"}
    assert expected == await states(dsn)
    rows = await fetch(
        dsn,
        "SELECT t.target, r.error FROM pacewheel.results r JOIN pacewheel.tasks t "
        "ON t.domain_id = r.domain_id AND t.id = r.task_id WHERE r.outcome = 4",
    )
    assert {
        "raises": "exception",
        "hangs": "timeout",
        "swallows": "timeout",
        "nonsense": "bad_outcome",
        "cancels": "cancelled",
        "unstorable": "unsettleable",
    } == {row["target"]: row["error"] for row in rows}
    assert {"raises": 2, "hangs": 2, "swallows": 2, "nonsense": 1, "cancels": 2} == {
        name: calls[name] for name in ("raises", "hangs", "swallows", "nonsense", "cancels")
    }
    await engine.connect()
    info = await (await engine.get_job(job.id)).info()
    await engine.close()
    assert (JobState.COMPLETED, 6, 1, 1) == (info.status, info.failed, info.skipped, info.completed)


async def test_a_handler_that_ignores_its_cancellation_is_left_behind(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task is settled without it, and the process goes on with other tasks."""
    monkeypatch.setattr("pacewheel.services.worker_pool.ABANDON_AFTER_MS", 100.0)
    engine = Engine(dsn, config=Config(capacity=1))
    let_go = asyncio.Event()

    @engine.handler("stubborn", timeout_s=0.1, attempts=1)
    async def stubborn(task: Task) -> None:
        while task.target == "stubborn" and not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    await engine.connect()
    await engine.create_job(
        domain="a.example",
        handler="stubborn",
        tasks=[NewTask("stubborn", priority=1), NewTask("next")],
        discovery_open=False,
    )
    asyncio.get_running_loop().call_later(20, let_go.set)
    await engine.run_until_idle()
    assert not let_go.is_set()
    assert 1 == engine.metrics.value("pacewheel_handlers_abandoned_total", handler="stubborn")
    assert 1 == engine.metrics.value("pacewheel_handlers_left_running")
    assert 2 == engine.metrics.value("pacewheel_handler_seconds_count", handler="stubborn")
    assert 2 == engine.metrics.value("pacewheel_tasks_claimed_total")
    let_go.set()
    await until(lambda: engine.metrics.value("pacewheel_handlers_left_running") == 0)
    assert {"stubborn": "failed", "next": "completed"} == await states(dsn)


async def test_what_a_task_discovers_is_committed_with_its_outcome(dsn: str) -> None:
    """A chain of tasks that each discover the next runs to its end; the job ends once, after the last."""
    engine = Engine(dsn)

    @engine.handler("chain")
    async def chain(task: Task) -> Outcome:
        number = int(task.target)
        left = [NewTask(str(number + 1))] if number < 20 else []
        known = await task.document("latest")
        assert number == 1 or str(number - 1) == known
        return Outcome.completed(discovered=left, documents={"latest": str(number)})

    await engine.connect()
    job = await engine.create_job(
        domain="a.example", handler="chain", tasks=[NewTask("1")], discovery_open=False
    )
    await engine.run_until_idle()
    await engine.connect()
    info = await job.info()
    await engine.close()
    assert (JobState.COMPLETED, 20, 20) == (info.status, info.total, info.completed)


async def test_a_cancelled_job_ends_its_tasks_and_stops_its_handlers(dsn: str) -> None:
    """Cancelling is one transaction; handlers that run are cancelled, and a final job takes nothing."""
    engine = Engine(dsn)
    stopped = asyncio.Event()

    @engine.handler("hold")
    async def hold(task: Task) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.set()
            raise

    async with engine:
        job = await engine.create_job(
            domain="a.example", handler="hold", concurrency=1, tasks=[NewTask("a"), NewTask("b")]
        )

        async def runs() -> bool:
            return (await job.info()).running == 1

        await until(runs)
        assert 2 == await job.cancel()
        await asyncio.wait_for(stopped.wait(), 60)
        with pytest.raises(JobFinal):
            await job.enqueue([NewTask("c")])
        with pytest.raises(JobFinal):
            await job.cancel()
        info = await job.info()
    assert (JobState.CANCELLED, 2, 0) == (info.status, info.cancelled, info.live)
    assert {"a": "cancelled", "b": "cancelled"} == await states(dsn)


async def test_a_drain_gives_interrupted_tasks_back_without_an_attempt(dsn: str) -> None:
    """Stopping with a short grace leaves the task pending at attempt 0, its domain without owner."""
    engine = Engine(dsn)
    started = asyncio.Event()

    @engine.handler("hold")
    async def hold(task: Task) -> None:
        started.set()
        await asyncio.sleep(60)

    await engine.start()
    job = await engine.create_job(domain="a.example", handler="hold", tasks=[NewTask("a")])
    await asyncio.wait_for(started.wait(), 60)
    await engine.stop(grace_s=0.1)

    rows = await fetch(dsn, "SELECT status, attempt FROM pacewheel.tasks")
    assert [(0, 0)] == [tuple(row) for row in rows]
    rows = await fetch(dsn, "SELECT owner, in_flight FROM pacewheel.domains")
    assert [(None, [])] == [tuple(row) for row in rows]
    assert 1 == job.id


async def test_what_an_unknown_job_or_a_wrong_value_gets(dsn: str) -> None:
    """Each mistake is one clear error of its own class."""
    engine = Engine(dsn)
    with pytest.raises(ConfigInvalid, match="not connected"):
        await engine.create_job(domain="a", handler="h")
    await engine.connect()
    with pytest.raises(JobUnknown, match="no job 99"):
        await engine.get_job(99)
    with pytest.raises(ConfigInvalid):
        await engine.create_job(domain="a", handler="h", concurrency=0)
    with pytest.raises(ConfigInvalid):
        await engine.create_job(domain="", handler="h")
    job = await engine.create_job(domain="a", handler="h")
    for wrong in (
        NewTask("never", ready_in_s=math.inf),
        NewTask("no time", ready_in_s=math.nan),
        NewTask("no JSON", payload={"object": object()}),
    ):
        with pytest.raises(DataRefused, match=": give "):
            await job.enqueue([wrong])
    assert 0 == (await job.info()).total
    await engine.close()


async def test_work_enqueued_by_another_process_wakes_an_idle_engine(dsn: str) -> None:
    """A hint is enough: neither a beat nor a sweep comes before."""
    engine = Engine(dsn, config=Config(**BY_HINTS_ALONE))
    started = asyncio.Event()

    @engine.handler("note")
    async def note(task: Task) -> None:
        started.set()

    other = Engine(dsn)
    await other.connect()
    async with engine:
        await other.create_job(domain="new.example", handler="note", tasks=[NewTask("a")])
        await asyncio.wait_for(started.wait(), 50)
    await other.close()
