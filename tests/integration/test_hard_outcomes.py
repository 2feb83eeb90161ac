"""What handlers must not be able to break, and races that a review found: each has its test."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from typing import Any

import asyncpg
import pytest

from pacewheel import Config, Engine, JobState, NewTask, Outcome, Task, TaskState
from pacewheel.errors import StoreUnavailable
from pacewheel.metrics import Metrics
from pacewheel.ports import Settlement
from pacewheel.store import Store
from pacewheel.store.leases import PostgresLeases
from tests.conftest import PROMPT, fetch, until, waits_for_a_lock

ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)

OUTCOMES: dict[str, Any] = {
    "a detail that is no JSON": Outcome.completed(detail={"text": object()}),
    "a detail without an end": Outcome.completed(detail={"list": ENDLESS}),
    "a text among the discovered": Outcome.completed(discovered=["https://a.example/"]),
    "a retry that never comes": Outcome.retry("busy", retry_in_s=math.inf),
    "a pause that is no number": Outcome.completed(block_domain_s=math.nan),
    "a status beyond its type": Outcome.completed(http_status=10**6),
    "a status that is no number": Outcome.completed(http_status=object()),
    "a kind that is only its word": Outcome("retry", "busy"),
    "an error that is no word": Outcome.retry(["busy"]),
    "discoveries that can be read only once": Outcome.completed(discovered=iter(())),
    "a discovery that is never ready": Outcome.completed(
        discovered=[NewTask("never", ready_in_s=math.inf)]
    ),
    "links that no text can hold": Outcome.completed(links={"main": ["a\0b"]}),
    "links that are numbers": Outcome.completed(links={"main": [1, 2]}),
    "links that are a text": Outcome.completed(links="https://a.example/"),
}


@pytest.mark.parametrize("capacity", [1, 200])
async def test_no_outcome_stops_the_engine(dsn: str, capacity: int) -> None:
    """Each impossible outcome fails its own task; the others are done, and so is the job."""
    engine = Engine(dsn, config=Config(capacity=capacity))

    @engine.handler("odd", attempts=1)
    async def odd(task: Task) -> Outcome | None:
        if task.target == "it cancels the coroutine it runs on":
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            await asyncio.sleep(0)
        return OUTCOMES.get(task.target)

    names = ["it cancels the coroutine it runs on", *OUTCOMES, "fine"]
    await engine.connect()
    job = await engine.create_job(
        domain="a.example",
        handler="odd",
        tasks=[NewTask(name) for name in names],
        discovery_open=False,
    )
    await asyncio.wait_for(engine.run_until_idle(), 60)

    rows = await fetch(dsn, "SELECT target, state FROM pacewheel.task_states")
    expected = dict.fromkeys(names, "failed") | {"fine": "completed"}
    assert expected == {row["target"]: row["state"] for row in rows}
    await engine.connect()
    assert JobState.COMPLETED == (await job.info()).status
    await engine.close()


UNSTOPPED = """
import asyncio, sys
from pacewheel import Engine, NewTask

async def main():
    engine = Engine(sys.argv[1])
    started = asyncio.Event()

    @engine.handler("endless")
    async def endless(task):
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if task.target == "deaf":
                return
            raise

    await engine.start()
    await engine.create_job(domain="a.example", handler="endless", tasks=[NewTask(sys.argv[2])])
    await started.wait()
    raise SystemExit("main ended")

asyncio.run(main())
"""


@pytest.mark.parametrize("target", ["obedient", "deaf"])
def test_a_program_that_ends_without_stopping_its_engine_ends(dsn: str, target: str) -> None:
    """The event loop cancels all it has, and waits for it: no worker may live on."""
    done = subprocess.run(
        [sys.executable, "-c", UNSTOPPED, dsn, target],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (1, "main ended") == (done.returncode, done.stderr.strip())


async def test_every_priority_is_claimed(dsn: str) -> None:
    """Infinite ones too, and such as are no number."""
    engine = Engine(dsn)

    @engine.handler("note")
    async def note(_task: Task) -> None:
        return None

    await engine.connect()
    priorities = [math.inf, -math.inf, math.nan, 0.0, math.inf]
    await engine.create_job(
        domain="a.example",
        handler="note",
        tasks=[NewTask(f"t{n}", priority=priority) for n, priority in enumerate(priorities)],
        discovery_open=False,
    )
    await asyncio.wait_for(engine.run_until_idle(), 60)
    rows = await fetch(dsn, "SELECT count(*) FROM pacewheel.tasks WHERE status = 3")
    assert len(priorities) == rows[0][0]


async def test_a_cancel_ends_tasks_that_were_enqueued_while_it_waited(dsn: str) -> None:
    """The cancel waits for an enqueue's lock, then sees what that enqueue committed."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note")
    store = engine.store
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    await store.tasks.insert_tasks(connection, job.id, [NewTask("late")], notify=False)
    cancelling = asyncio.create_task(job.cancel())
    await until(lambda: waits_for_a_lock(dsn))
    await transaction.commit()
    await connection.close()
    assert 1 == await cancelling
    info = await job.info()
    await engine.close()
    assert (JobState.CANCELLED, 0, 1) == (info.status, info.live, info.cancelled)
    rows = await fetch(dsn, "SELECT status FROM pacewheel.tasks")
    assert [TaskState.CANCELLED] == [row["status"] for row in rows]


async def test_an_attempt_is_settled_once_even_when_its_task_was_woken_meanwhile(dsn: str) -> None:
    """The answer to a settle was lost, the task woke, the settle is sent again: nothing happens."""
    engine = Engine(dsn)
    await engine.connect()
    job = await engine.create_job(domain="a.example", handler="note", tasks=[NewTask("t")])
    await engine.close()
    store = Store(dsn, config=Config(pool_max=2), metrics=Metrics())
    await store.open()
    worker = await store.leases.register_worker(1, 60_000, ["note"])
    (leased,) = await store.leases.lease_domains(worker, ["note"], 1000, 1)
    (row,) = await fetch(dsn, "SELECT id FROM pacewheel.tasks")
    outcome = Outcome.retry("busy")
    retried = Settlement(leased.id, row["id"], job.id, TaskState.WAITING, 1, 5, 0, outcome)
    epochs = {leased.id: leased.epoch}
    first = await store.tasks.settle_tasks(worker, epochs, [retried])
    (woken,) = await store.tasks.wake_tasks([leased.id], 10)
    second = await store.tasks.settle_tasks(worker, epochs, [retried])
    await store.close()

    assert (1, 1, 0) == (first.rows, woken.woken, second.rows)
    rows = await fetch(dsn, "SELECT attempt FROM pacewheel.results")
    assert [1] == [result["attempt"] for result in rows]


async def test_a_drain_gives_domains_back_while_one_handler_still_runs(dsn: str) -> None:
    """Others take over at once what does not run; the running task ends in peace."""
    # Idle domains are kept: nothing but the drain gives them back.
    config = Config(**PROMPT, grace_s=20.0, idle_release_s=60.0)
    leaving, staying = Engine(dsn, config=config), Engine(dsn, config=config)
    let_go = asyncio.Event()
    # Three domains at once are more than half of four: the one that leaves takes no share.
    three = asyncio.Barrier(3)
    done: list[tuple[str, str]] = []

    def register(engine: Engine, name: str) -> None:
        @engine.handler("note")
        async def note(task: Task) -> None:
            if task.target == "long":
                await let_go.wait()
            elif task.target == "more" and not let_go.is_set():
                await three.wait()
            done.append((name, task.target))

    register(leaving, "leaving")
    register(staying, "staying")
    await leaving.start()
    for n in range(4):
        await leaving.create_job(
            domain=f"d{n}.example", handler="note", tasks=[NewTask("long" if n == 0 else "short")]
        )
    await until(lambda: len(done) == 3)
    await staying.start()
    stopping = asyncio.create_task(leaving.stop())

    async def given_back() -> bool:
        rows = await fetch(dsn, "SELECT count(*) FROM pacewheel.domains WHERE owner IS NOT NULL")
        return bool(rows[0][0] == 1)

    await until(given_back)
    for info in await staying.list_jobs():
        job = await staying.get_job(info.id)
        await job.enqueue([NewTask("more")])
    await until(lambda: 3 == sum(("staying", "more") == entry for entry in done))
    assert not stopping.done()
    let_go.set()
    await stopping
    await until(lambda: 4 == sum(("staying", "more") == entry for entry in done))
    await staying.stop()
    assert ("leaving", "long") in done


async def test_a_domain_whose_release_was_cut_short_by_the_stop_is_given_back(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leaser's loop is cancelled while its release waits for the database: the end gives it back."""
    release = PostgresLeases.release_domains
    waits = asyncio.Event()

    async def never(*_: Any) -> None:
        waits.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(PostgresLeases, "release_domains", never)
    engine = Engine(dsn, config=Config(**PROMPT, idle_release_s=0.0))

    @engine.handler("note")
    async def note(task: Task) -> None:
        pass

    await engine.start()
    await engine.create_job(domain="a.example", handler="note", tasks=[NewTask("t")])
    await asyncio.wait_for(waits.wait(), 60)
    monkeypatch.setattr(PostgresLeases, "release_domains", release)
    await engine.stop()
    rows = await fetch(dsn, "SELECT owner, in_flight FROM pacewheel.domains")
    assert [(None, [])] == [tuple(row) for row in rows]


async def test_a_release_that_failed_is_repeated(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without work nobody leases the domain anew: the one who dropped it has to give it back."""
    release = PostgresLeases.release_domains
    failures = iter([StoreUnavailable("cut")])

    async def fails_once(leases: PostgresLeases, *args: Any) -> None:
        for failure in failures:
            raise failure
        await release(leases, *args)

    monkeypatch.setattr(PostgresLeases, "release_domains", fails_once)
    engine = Engine(dsn, config=Config(**PROMPT, idle_release_s=0.0))

    @engine.handler("note")
    async def note(task: Task) -> None:
        pass

    async def is_given_back() -> bool:
        rows = await fetch(dsn, "SELECT owner, epoch FROM pacewheel.domains")
        return [(None, 1)] == [tuple(row) for row in rows]

    async with engine:
        await engine.create_job(domain="a.example", handler="note", tasks=[NewTask("t")])
        await until(is_given_back)
    assert [] == list(failures)
