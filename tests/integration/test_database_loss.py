"""An engine whose database goes away under its hands: all work is done, once, and counted right."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from pacewheel import Config, Engine, Job, JobState, NewTask, Task
from pacewheel.errors import StoreUnavailable
from tests.conftest import fetch, until, waits_for_a_lock
from tests.own_server import OwnServer, migrated, running

DOMAINS = 3
TASKS_A_JOB = 200
CONCURRENCY = 4
HANDLER_S = 0.03
RECOVERY_S = 45.0


class Work:
    """Jobs on a few domains, and which of their tasks were handled how often."""

    def __init__(self, dsn: str, **settings: float) -> None:
        self.dsn = dsn
        self.engine = Engine(dsn, config=Config(**settings))
        self.seen: Counter[str] = Counter()
        self.jobs: list[Job] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

        @self.engine.handler("note")
        async def note(task: Task) -> None:
            self.seen[task.target] += 1
            await asyncio.sleep(HANDLER_S)
            await self.may_end.wait()

    async def create(self) -> None:
        """Create the jobs, all of whose tasks are known."""
        await self.engine.connect()
        for domain in range(DOMAINS):
            job = await self.engine.create_job(
                domain=f"d{domain}.example",
                handler="note",
                concurrency=CONCURRENCY,
                tasks=[NewTask(f"{domain}/{n}") for n in range(TASKS_A_JOB)],
                discovery_open=False,
            )
            self.jobs.append(job)

    async def done(self) -> bool:
        """Tell whether every task was settled."""
        rows = await fetch(self.dsn, "SELECT sum(completed) FROM pacewheel.jobs")
        return bool(rows[0][0] == DOMAINS * TASKS_A_JOB)

    async def check(self) -> None:
        """Assert that each task was handled and settled once, and that nothing is left over."""
        assert DOMAINS * TASKS_A_JOB == len(self.seen)
        assert {1} == set(self.seen.values())
        rows = await fetch(
            self.dsn,
            "SELECT status, total, pending, waiting, completed, failed, skipped, cancelled"
            " FROM pacewheel.jobs",
        )
        done = (JobState.COMPLETED, TASKS_A_JOB, 0, 0, TASKS_A_JOB, 0, 0, 0)
        assert [done] * DOMAINS == [tuple(row) for row in rows]
        rows = await fetch(self.dsn, "SELECT status, count(*) FROM pacewheel.tasks GROUP BY 1")
        assert [(3, DOMAINS * TASKS_A_JOB)] == [tuple(row) for row in rows]
        rows = await fetch(
            self.dsn,
            "SELECT count(*), count(DISTINCT (domain_id, task_id)) FROM pacewheel.results",
        )
        assert [(DOMAINS * TASKS_A_JOB,) * 2] == [tuple(row) for row in rows]
        rows = await fetch(self.dsn, "SELECT owner, in_flight FROM pacewheel.domains")
        assert [(None, [])] * DOMAINS == [tuple(row) for row in rows]


async def listens(dsn: str) -> bool:
    """Tell whether the engine has a listening connection to this database."""
    rows = await fetch(
        dsn,
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'pacewheel'"
        " AND datname = current_database() AND query LIKE 'LISTEN%'",
    )
    return len(rows) == 1


async def terminate(dsn: str, *, listening: bool = False) -> int:
    """Cut the engine's connections to this database, or only the one that listens; return how many."""
    rows = await fetch(
        dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pacewheel'"
        " AND datname = current_database() AND (NOT $1 OR query LIKE 'LISTEN%')",
        listening,
    )
    return len(rows)


async def test_connections_that_are_cut_again_and_again_lose_nothing(dsn: str) -> None:
    """Five times in mid-work, every connection of the engine at once."""
    work = Work(dsn, sweep_s=1.0)
    await work.create()
    cut = []
    async with work.engine:
        for times in range(1, 6):
            enough = times * DOMAINS * TASKS_A_JOB // 8
            await until(lambda enough=enough: len(work.seen) >= enough)
            cut.append(await terminate(dsn))
        await until(work.done)
    assert min(cut) >= 1
    assert max(cut) >= 3
    await work.check()


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server of this module's own."""
    with running() as own:
        yield own


@pytest.fixture
async def own_dsn(server: OwnServer) -> AsyncIterator[str]:
    """An empty database on it, migrated."""
    async with migrated(server) as work_dsn:
        yield work_dsn


async def test_a_server_that_is_killed_and_comes_back_finds_its_work_going_on(
    server: OwnServer, own_dsn: str
) -> None:
    """Down for three seconds in mid-work: what ran is settled afterwards, the rest is done, all once."""
    work = Work(own_dsn, sweep_s=1.0)
    await work.create()
    async with work.engine:
        await until(lambda: len(work.seen) >= TASKS_A_JOB)
        server.kill()
        with pytest.raises(StoreUnavailable, match="can't be reached"):
            await work.engine.list_jobs()
        await asyncio.sleep(3)
        assert len(work.seen) < DOMAINS * TASKS_A_JOB
        await asyncio.to_thread(server.start)
        await until(work.done)
    await work.check()


async def test_run_until_idle_outlasts_a_restart(server: OwnServer, own_dsn: str) -> None:
    """Who waits for the end of the work, with nothing running, is not told of a short absence."""
    work = Work(own_dsn, sweep_s=1.0)
    await work.engine.connect()
    job = await work.engine.create_job(
        domain="a.example",
        handler="note",
        tasks=[NewTask("now"), NewTask("later", ready_in_s=3)],
        discovery_open=False,
    )

    async def is_settled() -> bool:
        return (await job.info()).completed == 1

    running = asyncio.create_task(work.engine.run_until_idle())
    # The engine is idle then but for its timer.
    await until(is_settled)
    server.kill()
    await asyncio.sleep(1)
    await asyncio.to_thread(server.start)
    await asyncio.wait_for(running, RECOVERY_S)
    assert {"now": 1, "later": 1} == dict(work.seen)


async def test_without_a_listening_connection_the_sweep_finds_new_work(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut and can't be made again; tasks of a domain that is held start all the same."""
    work = Work(dsn, sweep_s=0.3)
    other = Engine(dsn)
    await other.connect()
    async with work.engine:
        job = await other.create_job(domain="a.example", handler="note", tasks=[NewTask("heard")])
        await until(lambda: work.seen["heard"] == 1)
        await until(lambda: listens(dsn))

        async def refuse(_dsn: str) -> None:
            raise StoreUnavailable("refused by the test")

        monkeypatch.setattr("pacewheel.store.listener.connect", refuse)
        assert 1 == await terminate(dsn, listening=True)
        await job.enqueue([NewTask("unheard")])
        await until(lambda: work.seen["unheard"] == 1)
        assert not await listens(dsn)
    await other.close()


async def test_a_listening_connection_that_is_cut_is_made_again(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hints arrive again, with the sweep a minute away."""
    monkeypatch.setattr("pacewheel.services.sweeper.DEAF_SWEEP_S", 60.0)
    work = Work(dsn)
    other = Engine(dsn)
    await other.connect()
    async with work.engine:
        await until(lambda: listens(dsn))
        assert 1 == await terminate(dsn, listening=True)
        await other.create_job(domain="a.example", handler="note", tasks=[NewTask("missed")])
        await until(lambda: work.seen["missed"] == 1)
        await until(lambda: listens(dsn))
        await other.create_job(domain="b.example", handler="note", tasks=[NewTask("heard")])
        await until(lambda: work.seen["heard"] == 1)
    await other.close()


async def test_an_enqueue_that_is_cut_can_be_offered_again(dsn: str) -> None:
    """Its backend is terminated while it waits for the job's row: nothing is in, then all once."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note")
    tasks = [NewTask(f"t{n}") for n in range(50)]
    blocking = await asyncpg.connect(dsn)
    async with blocking.transaction():
        await blocking.execute("SELECT FROM pacewheel.jobs FOR UPDATE")
        offering = asyncio.create_task(job.enqueue(tasks))
        await until(lambda: waits_for_a_lock(dsn))
        assert 1 <= await terminate(dsn)
        with pytest.raises(StoreUnavailable):
            await offering
    await blocking.close()
    assert 0 == (await job.info()).total
    assert 50 == (await job.enqueue(tasks)).inserted
    assert 50 == (await job.enqueue(tasks)).known
    assert 50 == (await job.info()).total
    # Its transaction can't even be rolled back, so the driver's error hides the server's.
    assert 1 <= engine.metrics.value("pacewheel_database_errors_total", sqlstate_class="none")
    await engine.close()


async def test_a_settle_that_is_cut_is_sent_again(dsn: str) -> None:
    """Its backend is terminated while it waits for the job's row: the outcome counts once."""
    work = Work(dsn, sweep_s=1.0)
    work.may_end.clear()
    async with work.engine:
        job = await work.engine.create_job(domain="a.example", handler="note")
        blocking = await asyncpg.connect(dsn)
        async with blocking.transaction():
            await job.enqueue([NewTask("t")])
            await until(lambda: work.seen["t"] == 1)
            await blocking.execute("SELECT FROM pacewheel.jobs FOR UPDATE")
            work.may_end.set()
            await until(lambda: waits_for_a_lock(dsn))
            assert 1 <= await terminate(dsn)
            await until(lambda: work.engine.metrics.value("pacewheel_settle_retries_total") >= 1)
        await blocking.close()

        async def is_settled() -> bool:
            return (await job.info()).completed == 1

        await until(is_settled)
    assert 1 == work.seen["t"]
    rows = await fetch(dsn, "SELECT attempt, outcome FROM pacewheel.results")
    assert [(1, 3)] == [tuple(row) for row in rows]
    assert 1 == work.engine.metrics.value("pacewheel_attempts_total", outcome="completed")
