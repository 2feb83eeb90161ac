"""What metrics say of all jobs and of the database: exact, fresh, and only when somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from pacewheel import Config, Engine, NewTask, Outcome, Task, WaitingReason
from pacewheel.observer import OTHERS_FRESH_S, SHOWN_S, Observer
from tests.conftest import execute, fetch, until
from tests.own_server import OwnServer, migrated, running
from tests.postgres_proxy import proxy_to

REASONS = list(WaitingReason)


def waiting(engine: Engine) -> dict[str, float]:
    """Tasks by waiting reason, as they are exposed."""
    value = engine.metrics.value
    return {reason: value("pacewheel_tasks_waiting", reason=reason) for reason in REASONS}


def tasks(engine: Engine) -> dict[str, float]:
    """Tasks by state, as they are exposed."""
    value = engine.metrics.value
    return {
        state: value("pacewheel_tasks", state=state) for state in ("pending", "waiting", "running")
    }


class Clock:
    """The observer's, which a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return its time, in seconds."""
        return self.now_s


def observed(engine: Engine) -> Clock:
    """Give the engine an observer by a clock of the test's own."""
    clock = Clock()
    engine.observer = Observer(lambda: engine.store, engine.metrics, clock)
    return clock


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's answers are waited for."""
    monkeypatch.setattr("pacewheel.observer.WAIT_S", 45.0)


async def test_waiting_by_reason_and_running_sum_up_to_the_live_tasks(dsn: str) -> None:
    """At each look under load, and against the rows when only what holds and what waits is left."""
    engine = Engine(dsn, config=Config(capacity=8))
    let_go = asyncio.Event()

    @engine.handler("work", backoff_s=3600, backoff_max_s=3600)
    async def work(task: Task) -> Outcome | None:
        if task.target.startswith("hold"):
            await let_go.wait()
        return Outcome.retry("later") if task.target.startswith("retry") else None

    def targets(word: str, number: int) -> list[NewTask]:
        return [NewTask(f"{word} {n}") for n in range(number)]

    clock = observed(engine)
    async with engine:
        await engine.create_job(domain="fast", handler="work", tasks=targets("fast", 500))
        await engine.create_job(
            domain="held", handler="work", concurrency=3, tasks=targets("hold", 10)
        )
        await engine.create_job(
            domain="paced", handler="work", domain_delay_ms=3_600_000, tasks=targets("one", 7)
        )
        await engine.create_job(domain="retried", handler="work", tasks=targets("retry", 4))
        paused = await engine.create_job(domain="paused", handler="none", tasks=targets("p", 6))
        await paused.pause()
        await engine.create_job(domain="nobody", handler="none", tasks=targets("n", 9))
        await engine.create_job(
            domain="later", handler="work", tasks=[NewTask("it", ready_in_s=3600)]
        )

        async def settled() -> bool:
            clock.now_s += OTHERS_FRESH_S
            await engine.observer.refresh()
            by_state, by_reason = tasks(engine), waiting(engine)
            assert sum(by_reason.values()) == by_state["pending"] + by_state["waiting"]
            return (by_state["running"], by_state["pending"], by_state["waiting"]) == (3, 28, 5)

        await until(settled, timeout_s=30)
        live = await fetch(dsn, "SELECT count(*) FROM pacewheel.tasks WHERE status < 2")
        assert live[0][0] == sum(waiting(engine).values()) + tasks(engine)["running"]
        assert {
            "concurrency_limit": 7,
            "domain_delay": 6,
            "retry_backoff": 4,
            "scheduled": 1,
            "job_paused": 6,
            "worker_capacity": 9,
            "domain_blocked": 0,
        } == waiting(engine)
        assert 7 == engine.metrics.value("pacewheel_jobs_active")
        assert 1 == engine.metrics.value("pacewheel_workers_alive")
        assert 0 == engine.metrics.value("pacewheel_jobs_stuck")
        assert 3600 == engine.metrics.value("pacewheel_domain_delay_seconds", statistic="max")
        assert 2 <= engine.metrics.value("pacewheel_domains", state="working")
        let_go.set()


async def test_nothing_is_asked_while_nobody_looks_and_once_when_many_do(engine: Engine) -> None:
    """Fifty looks at once are one read of each; a second later nothing is read again."""

    def asked() -> dict[str, int]:
        counts = engine.metrics.transaction_seconds.counts()
        return {name: sum(numbers) for name, numbers in counts.items()}

    clock = observed(engine)
    assert {} == asked()
    await asyncio.gather(*(engine.observer.refresh() for _ in range(50)))
    names = ("count_totals", "find_stuck_jobs", "read_database", "read_tables")
    assert dict.fromkeys(names, 1) == asked()
    assert 1 == engine.metrics.value("pacewheel_database_up")
    await engine.observer.refresh()
    assert dict.fromkeys(names, 1) == asked()
    clock.now_s += OTHERS_FRESH_S
    await engine.observer.refresh()
    assert dict.fromkeys(names, 2) == asked()


async def test_a_stuck_job_is_counted(engine: Engine, dsn: str) -> None:
    """Claimable for an hour, and nobody claims."""
    job = await engine.create_job(domain="a", handler="none", tasks=[NewTask("1")])
    await execute(
        dsn,
        f"UPDATE pacewheel.jobs SET created_at = now() - interval '1 hour' WHERE id = {job.id}",
        f"UPDATE pacewheel.tasks SET created_at = now() - interval '1 hour' WHERE job_id = {job.id}",
    )
    await engine.observer.refresh()
    assert 1 == engine.metrics.value("pacewheel_jobs_stuck")


async def test_a_database_that_stands_still_holds_nobody_up_and_hides_its_figures(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look returns, and a minute later shows nothing old; a new connection shows them again."""
    monkeypatch.setattr("pacewheel.store.connections.CLOSE_TIMEOUT_S", 0.1)
    async with proxy_to(dsn) as proxy:
        engine = Engine(proxy.dsn)
        clock = observed(engine)
        await engine.connect()
        await engine.observer.refresh()
        shown = engine.metrics.registry.get_sample_value
        assert 0 == shown("pacewheel_jobs_active")
        for relay in proxy.relays:
            relay.frozen = True
        clock.now_s += SHOWN_S
        monkeypatch.setattr("pacewheel.observer.WAIT_S", 0.5)
        await asyncio.wait_for(engine.observer.refresh(), 45)
        assert 0 == shown("pacewheel_database_up")
        assert shown("pacewheel_jobs_active") is None
        assert engine.observer.trouble is not None
        with monkeypatch.context() as impatient:
            impatient.setattr("pacewheel.store.pool.CONNECT_TIMEOUT_S", 0.1)
            await engine.close()
        monkeypatch.setattr("pacewheel.observer.WAIT_S", 45.0)
        await engine.connect()
        await engine.observer.refresh()
        assert 1 == shown("pacewheel_database_up")
        assert 0 == shown("pacewheel_jobs_active")
        await engine.close()


async def test_figures_that_are_always_late_are_shown_all_the_same(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server that takes seconds for them, as one look left them for the next; or no alert could fire."""
    clock = observed(engine)
    answered = asyncio.Event()
    find = engine.store.explanations.find_stuck_jobs

    async def find_late(seconds: float) -> object:
        await answered.wait()
        return await find(seconds)

    shown = engine.metrics.registry.get_sample_value
    await engine.observer.refresh()
    monkeypatch.setattr("pacewheel.observer.WAIT_S", 0.05)
    monkeypatch.setattr(engine.store.explanations, "find_stuck_jobs", find_late)
    for _ in range(3):
        clock.now_s += OTHERS_FRESH_S
        await engine.observer.refresh()
        assert 0 == shown("pacewheel_jobs_stuck")
        answered.set()
        await until(lambda: engine.observer._figures[1]._reading is None)
        answered.clear()
    clock.now_s += SHOWN_S
    await engine.observer.refresh()
    assert shown("pacewheel_jobs_stuck") is None
    await engine.observer.close()


async def test_an_engine_that_is_not_connected_shows_no_figures(dsn: str) -> None:
    """Before the start, while the database may be away: metrics can be read all the same."""
    engine = Engine(dsn)
    await engine.observer.refresh()
    assert 0 == engine.metrics.value("pacewheel_database_up")
    await engine.observer.close()


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server that knows prepared transactions and replication slots."""
    with running(max_prepared_transactions="2", wal_level="logical", track_io_timing="on") as own:
        yield own


@pytest.fixture
async def work_dsn(server: OwnServer) -> AsyncIterator[str]:
    """A migrated database on it, which an ordinary role may use."""
    async with migrated(server) as dsn:
        await execute(
            dsn,
            "CREATE ROLE ordinary LOGIN PASSWORD 'right-one'",
            "GRANT USAGE ON SCHEMA pacewheel TO ordinary",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pacewheel TO ordinary",
        )
        yield dsn
        await execute(dsn, "DROP OWNED BY ordinary", "DROP ROLE ordinary")


async def test_what_keeps_vacuum_back_is_named_by_kind(work_dsn: str) -> None:
    """A session, a prepared transaction and a slot, each older than some transactions."""
    engine = Engine(work_dsn)
    await engine.connect()

    def age(holder: str) -> float:
        return engine.metrics.value("pacewheel_database_xmin_age_transactions", holder=holder)

    clock = observed(engine)

    async def look() -> None:
        clock.now_s += OTHERS_FRESH_S
        await engine.observer.refresh()

    await look()
    assert [0, 0] == [age("prepared_transaction"), age("replication_slot")]
    # Of a catalog's old versions: a logical slot holds these.
    await execute(work_dsn, "SELECT pg_create_logical_replication_slot('kept', 'pgoutput')")
    holder = await asyncpg.connect(work_dsn)
    await holder.execute("BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    preparer = await asyncpg.connect(work_dsn)
    await preparer.execute("BEGIN; CREATE TABLE public.t (); PREPARE TRANSACTION 'kept'")
    for _ in range(20):
        await execute(work_dsn, "SELECT pg_current_xact_id()")
    await look()
    assert {"session": True, "prepared_transaction": True, "replication_slot": True} == {
        kind: 20 <= age(kind) < 200
        for kind in ("session", "prepared_transaction", "replication_slot")
    }
    value = engine.metrics.value
    assert 1 == value("pacewheel_database_connections", state="idle_in_transaction")
    assert 0 < value("pacewheel_database_oldest_transaction_seconds")
    assert 0 < value("pacewheel_database_wal_retained_bytes")
    await preparer.execute("ROLLBACK PREPARED 'kept'")
    await preparer.close()
    await holder.close()
    await execute(work_dsn, "SELECT pg_drop_replication_slot('kept')")
    await engine.close()


async def test_an_ordinary_role_reads_the_figures_and_is_told_what_is_hidden(
    server: OwnServer, work_dsn: str
) -> None:
    """All but the state of others' sessions, which are counted as hidden until pg_monitor is granted."""
    other = await asyncpg.connect(work_dsn)
    engine = Engine(server.dsn("ordinary", database="work"))
    clock = observed(engine)
    await engine.connect()
    await engine.observer.refresh()
    value = engine.metrics.value
    assert 1 == value("pacewheel_database_up")
    assert 1 <= value("pacewheel_database_connections", state="hidden")
    assert 1_000_000 < value("pacewheel_database_size_bytes")
    assert 100 == value("pacewheel_database_connections_max")
    assert 0 < value("pacewheel_database_transactions_total", result="commit")
    assert 0 < value("pacewheel_database_blocks_total", source="hit")
    assert 0 < value("pacewheel_database_wal_bytes_total")
    assert value("pacewheel_database_live_rows", table="migrations") >= 0
    await execute(work_dsn, "GRANT pg_monitor TO ordinary")
    clock.now_s += OTHERS_FRESH_S
    await engine.observer.refresh()
    assert 0 == value("pacewheel_database_connections", state="hidden")
    assert 1 <= value("pacewheel_database_connections", state="idle")
    await engine.close()
    await other.close()
