"""Tasks of a job changed by its user: retried, cancelled, reprioritised, while an engine runs them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Config, Engine, JobState, NewTask, Outcome, Task
from pacewheel.errors import ConfigInvalid, JobFinal, JobUnknown, StoreUnavailable, TaskUnknown
from pacewheel.store.tasks import PostgresTasks
from tests.conftest import execute, fetch, until
from tests.invariants import wrong_counters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pacewheel.engine import Job

ATTEMPTS = 2


class Story:
    """An engine whose handler fails while it is told to, holds tasks called `hold`, and notes starts."""

    def __init__(self, dsn: str, **config: Any) -> None:
        self.dsn = dsn
        self.engine = Engine(dsn, config=Config(**config))
        self.fails: Outcome | None = None
        self.let_go = asyncio.Event()
        self.seen: list[tuple[str, int]] = []
        self.engine.handler("note", attempts=ATTEMPTS, backoff_s=0.01)(self.note)

    async def note(self, task: Task) -> Outcome:
        """Note the start, and do as told."""
        self.seen.append((task.target, task.attempt))
        if task.target.startswith("hold"):
            await self.let_go.wait()
        return self.fails or Outcome.completed()

    async def create(self, *targets: str, **values: Any) -> Job:
        """Create a job of these tasks."""
        tasks = [NewTask(target) for target in targets]
        return await self.engine.create_job(
            domain="a.example", handler="note", tasks=tasks, **values
        )

    async def until_info(self, job: Job, **wanted: Any) -> None:
        """Wait until the job's row says so."""

        async def says_so() -> bool:
            info = await job.info()
            return all(getattr(info, name) == value for name, value in wanted.items())

        says_so.__qualname__ = f"{job} has {wanted}"
        await until(says_so)


@pytest.fixture
async def story(dsn: str) -> AsyncIterator[Story]:
    """A story that runs, without help of the sweep."""
    told = Story(dsn, capacity=50)
    await told.engine.start()
    yield told
    told.let_go.set()
    await told.engine.stop()
    assert [] == await wrong_counters(dsn)


async def test_failed_tasks_of_a_live_job_get_another_round_of_attempts(story: Story) -> None:
    """Attempts go on counting from where they were, as many as the handler has."""
    story.fails = Outcome.retry("busy")
    job = await story.create("t")
    await story.until_info(job, failed=1)
    again, retried = await job.retry_failed()
    assert (job.id, 1) == (again.id, retried)
    await story.until_info(job, failed=1)
    await until(lambda: len(story.seen) == 2 * ATTEMPTS)
    story.fails = None
    await job.retry_failed()
    await story.until_info(job, completed=1, failed=0)

    assert [("t", attempt) for attempt in range(1, 2 * ATTEMPTS + 2)] == story.seen
    rows = await fetch(story.dsn, "SELECT attempt FROM pacewheel.results ORDER BY attempt")
    assert list(range(1, 2 * ATTEMPTS + 2)) == [row["attempt"] for row in rows]


async def test_failed_tasks_are_retried_by_their_keys(story: Story) -> None:
    """Those that are named, if they failed; an unknown key changes nothing."""
    story.fails = Outcome.failed("broken")
    job = await story.create("a", "b", "c")
    await story.until_info(job, failed=3)
    story.fails = None
    with pytest.raises(TaskUnknown, match="no task with key 'nowhere'"):
        await job.retry_failed(["a", "nowhere"])
    _, retried = await job.retry_failed(["b", "c"])
    await story.until_info(job, failed=1, completed=2)
    _, again = await job.retry_failed(["b"])
    assert (2, 0) == (retried, again)
    assert {"b", "c"} == {target for target, _ in story.seen[3:]}


async def test_a_retry_of_thousands_takes_each_of_them_once(story: Story) -> None:
    """All run again, by however many statements."""
    story.fails = Outcome.failed("broken")
    job = await story.create(*(f"t{n}" for n in range(2500)), concurrency=50)
    await story.until_info(job, failed=2500)
    _, retried = await job.retry_failed()
    assert 2500 == retried
    await story.until_info(job, failed=2500)
    await until(lambda: len(story.seen) == 5000)


async def test_tasks_that_fail_again_at_once_are_not_retried_for_ever(dsn: str) -> None:
    """Here they fail in the very statement that retries them: each counts once all the same."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(
        domain="a.example", handler="note", tasks=[NewTask(f"t{n}") for n in range(2500)]
    )
    await execute(
        dsn,
        "UPDATE pacewheel.tasks SET status = 4",
        "UPDATE pacewheel.jobs SET failed = 2500, pending = 0",
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.status := 4; RETURN NEW; END $$",
        "CREATE TRIGGER fail BEFORE UPDATE ON pacewheel.tasks FOR EACH ROW EXECUTE FUNCTION fail()",
    )
    _, retried = await asyncio.wait_for(job.retry_failed(), 60)
    await engine.close()
    assert 2500 == retried


async def test_a_final_job_s_failed_tasks_run_in_a_new_job_like_it(story: Story) -> None:
    """Same handler, options, weight and limit; it names its origin, and completes by itself."""
    story.fails = Outcome.failed("broken")
    job = await story.engine.create_job(
        domain="a.example",
        handler="note",
        concurrency=3,
        priority=1.5,
        options={"depth": 2},
        tasks=[NewTask("t0", key="k0", priority=0.5, payload={"n": 1})]
        + [NewTask(f"t{n}") for n in range(1, 1200)],
        discovery_open=False,
    )
    await story.until_info(job, failed=1200, status=JobState.COMPLETED)
    before = await job.info()
    story.fails = None
    again, retried = await job.retry_failed()
    assert 1200 == retried
    await story.until_info(again, completed=1200, status=JobState.COMPLETED)

    info = await again.info()
    assert (job.id, "note", 3, 1.5, {"depth": 2}) == (
        info.retries_job_id,
        info.handler,
        info.concurrency,
        info.priority,
        info.options,
    )
    (row,) = await fetch(
        story.dsn,
        "SELECT key, priority, payload->>'n' AS n, attempt FROM pacewheel.tasks"
        " WHERE job_id = $1 AND target = 't0'",
        again.id,
    )
    assert ("k0", 0.5, "1", 1) == tuple(row)
    assert before == await job.info()


async def test_one_s_own_retry_of_a_final_job_needs_no_listener(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without hints and sweeps, the process that asks for it starts the new job's tasks."""

    async def refuse(_dsn: str, **_options: object) -> None:
        raise StoreUnavailable("refused by the test")

    monkeypatch.setattr("pacewheel.store.listener.connect", refuse)
    monkeypatch.setattr("pacewheel.services.sweeper.DEAF_SWEEP_S", 3600.0)
    story = Story(dsn, idle_release_s=3600, sweep_s=3600)
    async with story.engine:
        story.fails = Outcome.failed("broken")
        job = await story.create("t", discovery_open=False)
        await story.until_info(job, status=JobState.COMPLETED)
        story.fails = None
        again, _ = await job.retry_failed()
        await story.until_info(again, status=JobState.COMPLETED)


async def test_where_nothing_failed_nothing_is_retried_and_no_job_made(story: Story) -> None:
    """Not for a live job, not for a final one, and not for keys of a final one that did not fail."""
    live = await story.create("a")
    await story.until_info(live, completed=1)
    assert (live.id, 0) == ((answer := await live.retry_failed())[0].id, answer[1])
    final = await story.create("b", discovery_open=False)
    await story.until_info(final, status=JobState.COMPLETED)
    assert (final.id, 0) == ((answer := await final.retry_failed())[0].id, answer[1])
    story.fails = Outcome.failed("broken")
    mixed = await story.create("broken")
    await story.until_info(mixed, failed=1)
    story.fails = None
    await mixed.enqueue([NewTask("fine")])
    await mixed.finish_discovery()
    await story.until_info(mixed, status=JobState.COMPLETED)
    assert (mixed.id, 0) == ((answer := await mixed.retry_failed(["fine"]))[0].id, answer[1])
    assert 3 == len(await story.engine.list_jobs())
    await execute(story.dsn, f"DELETE FROM pacewheel.jobs WHERE id = {live.id}")
    with pytest.raises(JobUnknown):
        await live.retry_failed()


async def test_a_task_retried_before_its_owner_knew_of_its_failure_runs(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the settle is late: a claim passes the task over meanwhile, the next one takes it."""
    settle = PostgresTasks.settle_tasks
    settled, answer = asyncio.Event(), asyncio.Event()

    async def settle_and_answer_late(tasks: PostgresTasks, *args: Any) -> Any:
        done = await settle(tasks, *args)
        settled.set()
        await answer.wait()
        return done

    claim = PostgresTasks.claim_tasks
    claims: list[object] = []

    async def claim_and_count(tasks: PostgresTasks, *args: Any) -> Any:
        claimed = await claim(tasks, *args)
        claims.append(claimed)
        return claimed

    monkeypatch.setattr(PostgresTasks, "settle_tasks", settle_and_answer_late)
    monkeypatch.setattr(PostgresTasks, "claim_tasks", claim_and_count)
    story = Story(dsn)
    story.fails = Outcome.failed("broken")
    async with story.engine:
        job = await story.create("t")
        await asyncio.wait_for(settled.wait(), 60)
        story.fails = None
        await job.enqueue([NewTask("hold", priority=-1)])
        await until(lambda: ("hold", 1) in story.seen)
        before = len(claims)
        assert 1 == (await job.retry_failed())[1]
        await until(lambda: len(claims) > before)
        assert ("t", 2) not in story.seen
        answer.set()
        await until(lambda: ("t", 2) in story.seen)
        story.let_go.set()


async def test_cancelled_tasks_start_no_more_and_their_outcomes_count_for_nothing(
    story: Story,
) -> None:
    """Waiting, pending and running ones: capacity comes back, and the job goes on and ends right."""
    job = await story.create("hold 1", "hold 2", concurrency=2)
    await until(lambda: len(story.seen) == 2)
    await job.enqueue([NewTask("pending"), NewTask("last", priority=-1)])
    await job.enqueue([NewTask("later", ready_in_s=0.5)])
    with pytest.raises(TaskUnknown, match="no task with key 'nowhere'"):
        await job.cancel_tasks(["pending", "nowhere"])
    assert 3 == await job.cancel_tasks(["pending", "later", "hold 1"])
    assert 0 == await job.cancel_tasks(["pending"])
    story.let_go.set()
    await story.until_info(job, completed=2, cancelled=3, status=JobState.RUNNING)
    await job.finish_discovery()

    info = await job.info()
    assert (JobState.COMPLETED, 5, 0) == (info.status, info.total, info.failed)
    assert {"hold 1", "hold 2", "last"} == {target for target, _ in story.seen}
    rows = await fetch(
        story.dsn,
        "SELECT t.target FROM pacewheel.results r JOIN pacewheel.tasks t ON t.id = r.task_id",
    )
    assert {"hold 2", "last"} == {row["target"] for row in rows}
    with pytest.raises(JobFinal, match="is completed"):
        await job.cancel_tasks(["last"])


async def test_cancelling_its_last_tasks_ends_a_job(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    """As completed, once discovery is finished, also while a handler of them still runs; and that is said."""
    caplog.set_level(logging.INFO, "pacewheel.jobs")
    tasks = [NewTask("hold", priority=1), NewTask("other")]
    job = await story.engine.create_job(
        domain="a.example", handler="note", concurrency=1, tasks=tasks, discovery_open=False
    )
    await until(lambda: len(story.seen) == 1)
    assert 1 == await job.cancel_tasks(["other"])
    assert "is completed" not in caplog.text
    assert 1 == await job.cancel_tasks(["hold"])
    assert f"job {job.id} of a.example is completed" in caplog.text
    assert "0 completed, 0 failed, 0 skipped, 2 cancelled" in caplog.text
    info = await job.info()
    assert (JobState.COMPLETED, 2, 0) == (info.status, info.cancelled, info.live)
    assert info.finished_at is not None


async def test_tasks_are_reprioritised_up_and_down_and_start_in_that_order(dsn: str) -> None:
    """Pending and waiting ones; a raise on its way is void, and the running one keeps its slot."""
    story = Story(dsn, capacity=1)
    async with story.engine:
        job = await story.create("hold", concurrency=1)
        await until(lambda: len(story.seen) == 1)
        await job.enqueue([NewTask(f"t{n}", priority=n / 10) for n in range(5)])
        await job.enqueue([NewTask("later", ready_in_s=3600)])
        await execute(
            dsn,
            "INSERT INTO pacewheel.priority_updates (domain_id, task_id, job_id, priority)"
            " SELECT domain_id, id, job_id, 9 FROM pacewheel.tasks WHERE target IN ('t3', 't4')",
        )
        wanted = {"t0": 3.0, "t4": -1.0, "later": 2.0, "hold": 0.5, "t2": 0.2}
        # t2 has that priority already.
        assert 4 == await job.reprioritise_tasks(wanted)
        with pytest.raises(TaskUnknown):
            await job.reprioritise_tasks({"t1": 5.0, "nowhere": 5.0})
        with pytest.raises(ConfigInvalid):
            await job.reprioritise_tasks({"t1": float("nan")})
        rows = await fetch(
            dsn,
            "SELECT t.target FROM pacewheel.priority_updates u JOIN pacewheel.tasks t ON t.id = u.task_id",
        )
        assert ["t3"] == [row["target"] for row in rows]
        story.let_go.set()
        await story.until_info(job, completed=6)
        assert 2.0 == (await job.explain_task("later")).priority
    assert ["hold", "t0", "t3", "t2", "t1", "t4"] == [target for target, _ in story.seen]


async def test_a_job_without_a_number_for_its_priority_is_refused(story: Story) -> None:
    """When it is created, and when it is changed."""
    with pytest.raises(ConfigInvalid, match="finite"):
        await story.create("t", priority=float("nan"))
    job = await story.create("t")
    with pytest.raises(ConfigInvalid, match="finite"):
        await job.reprioritise(float("inf"))
    await job.reprioritise(1.5)
    assert 1.5 == (await job.info()).priority
    await job.cancel()
    with pytest.raises(JobFinal):
        await job.reprioritise(1.0)
    with pytest.raises(JobFinal):
        await job.reprioritise_tasks({"t": 1.0})
