"""Every statement is run for real, under another schema's name, and takes the parameters it declares."""

from __future__ import annotations

import asyncio
import importlib
import re
from typing import TYPE_CHECKING

import pytest

from pacewheel import Config, Engine, JobState, NewTask, Outcome, Task
from pacewheel.errors import JobFinal, JobPruned
from pacewheel.retention import DAY_MS, Keep
from pacewheel.services.pruner import Pruner
from pacewheel.store.doctor import read_facts
from pacewheel.store.pool import connect
from pacewheel.store.queries import load_queries, sql_root
from tests.conftest import execute, fetch, until, with_database
from tests.integration.counted_jobs import reconciled

if TYPE_CHECKING:
    import asyncpg

    from pacewheel import Job

SCHEMA = "pw_other"
pool_module = importlib.import_module("pacewheel.store.pool")


@pytest.mark.parametrize("name", sorted(load_queries()))
async def test_a_statement_takes_the_parameters_it_declares(
    server_dsn: str, template: str, name: str
) -> None:
    """PostgreSQL counts as many as the header does, and can tell the type of each."""
    text = (sql_root() / "queries" / f"{name}.sql").read_text("utf-8")
    params = next(line for line in text.splitlines() if line.startswith("-- params:"))
    declared = {int(number) for number in re.findall(r"\$(\d+)", params)}
    connection = await connect(with_database(server_dsn, template))
    try:
        parameters = (await connection.prepare(load_queries()[name])).get_parameters()
    finally:
        await connection.close()
    assert set(range(1, len(parameters) + 1)) == declared


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The texts of all statements that the store's connections have run without an error."""
    texts: set[str] = set()
    set_up = pool_module._set_up

    async def set_up_and_note(connection: asyncpg.Connection) -> None:
        await set_up(connection)
        connection.add_query_logger(
            lambda record: texts.add(record.query) if record.exception is None else None
        )

    monkeypatch.setattr(pool_module, "_set_up", set_up_and_note)
    return texts


async def leave_a_dead_worker(dsn: str) -> None:
    """Have a domain owned by a worker whose lease ran out, with a task in flight."""
    await execute(
        dsn,
        f"INSERT INTO {SCHEMA}.workers (host, pid, version, capacity, lease_until)"
        " VALUES ('gone', 1, '0', 1, now() - interval '1 hour')",
        f"UPDATE {SCHEMA}.domains d SET owner = w.id, in_flight = ARRAY(SELECT t.id FROM"
        f" {SCHEMA}.tasks t WHERE t.domain_id = d.id AND t.target = 'first')"
        f" FROM {SCHEMA}.workers w WHERE d.name = 'a.example'",
    )


async def use_schedules(engine: Engine, seen: list[str]) -> None:
    """Create, list, pause, resume, fire and remove a schedule, after its hint has fired it."""
    tasks = [NewTask("recurring")]
    made = await engine.schedules.create(
        "often", domain="d.example", handler="story", tasks=tasks, every_s=1, expiring_first=True
    )
    await until(lambda: 2 <= seen.count("recurring"))
    assert await engine.schedules.pause(made.name)

    async def is_final() -> bool:
        return (await engine.schedules.get(made.name)).live_job_id is None

    await until(is_final)
    await engine.schedules.fire(made.name)
    assert await engine.schedules.resume(made.name)
    await engine.schedules.remove(made.name)


async def change_what_runs(engine: Engine, seen: list[str]) -> None:
    """Look, pause, resume, explain, reprioritise, retry, cancel and schedule, as a user does."""
    await look(engine, 1)
    job = await engine.create_job(domain="c.example", handler="story")
    await job.enqueue([NewTask("later", ready_in_s=3600), NewTask("soon", ready_in_s=3600)])
    assert await job.pause()
    assert await job.resume()
    await job.reprioritise(1.0)
    assert 1 == await job.reprioritise_tasks({"soon": 0.5})
    assert [2] == [each.tasks for each in await job.explain()]
    assert 0.5 == (await job.explain_task("soon")).priority
    assert [] == await engine.find_stuck_jobs()
    assert 2 == await job.cancel_tasks(["later", "soon"])
    await job.enqueue([NewTask("broken")])

    async def failed() -> bool:
        return (await job.info()).failed == 1

    await until(failed)
    assert (job.id, 1) == ((retried := await job.retry_failed())[0].id, retried[1])
    await until(lambda: 2 == seen.count("broken"))
    await until(failed)
    await job.finish_discovery()
    again, count = await job.retry_failed()
    assert (True, 1) == (again.id > job.id, count)

    async def is_final() -> bool:
        return (await again.info()).status.is_final

    await until(is_final)
    await use_schedules(engine, seen)


async def look(engine: Engine, job_id: int) -> None:
    """Read what people see."""
    read = engine.store.overview
    assert 0 < (await read.count_totals()).jobs_active
    assert "a.example" in {info.name for info in await read.list_domains(live_only=False)}
    assert 1 == (await read.get_domain("a.example")).id
    assert 2 <= len(await read.list_workers())
    assert [] == await read.list_slow()
    facts = await read_facts(engine.dsn, engine.config)
    assert ({}, []) == (facts.errors, facts.schema and facts.schema.missing)
    for row in (await read.list_tasks(job_id)).tasks:
        assert row.attempt == len((await read.get_task(row.id)).attempts)


async def hand_out(job: Job) -> set[str]:
    """Report and export a job; return the targets."""
    assert (await job.report(compared_with=job.id)).facts.changes is not None
    assert (await job.report(compared_with="previous")).facts.changes is None
    exported: set[str] = set()
    await job.export(lambda rows: exported.update(row["url"] for row in rows))
    return exported


async def reconcile_damage(engine: Engine, dsn: str, cancelled: int) -> None:
    """Have a live task in a cancelled job, a wrong counter and a stranded task; reconcile, then prune."""
    await execute(
        dsn,
        f"UPDATE {SCHEMA}.tasks SET status = 0 WHERE job_id = {cancelled}",
        f"UPDATE {SCHEMA}.jobs SET failed = failed + 1 WHERE id <= {cancelled}",
        f"INSERT INTO {SCHEMA}.domains (name, in_flight) VALUES ('stranded', '{{1}}')",
    )
    await engine.store.counters.find_unreconciled(1, 0, 0, 10)
    found = await reconciled(engine)
    assert 2 == len(found.drifts)
    assert {"task_of_final_job": 1, "in_flight_without_owner": 1} == found.orphans
    await prune_all(engine, dsn)


async def prune_all(engine: Engine, dsn: str) -> None:
    """Rehearse and do a run of retention a year later; a job that is gone is known to be."""
    final = "status >= 3"
    year = "interval '1 year'"
    await execute(
        dsn,
        f"UPDATE {SCHEMA}.jobs SET created_at = created_at - {year}, finished_at = finished_at - {year}"
        f" WHERE {final}",
        f"UPDATE {SCHEMA}.results SET finished_at = finished_at - {year}",
        f"DELETE FROM {SCHEMA}.schedules",
        f"UPDATE {SCHEMA}.retention SET next_at = now()",
    )
    keep = Keep(DAY_MS, DAY_MS, DAY_MS, DAY_MS)
    rehearsed = await engine.store.retention.rehearse(keep)
    pruner = Pruner(
        store=engine.store.retention,
        metrics=engine.metrics,
        worker_id=lambda: 1,
        keep=keep,
        interval_s=3600,
    )
    removed = await pruner.run_once()
    assert 0 < removed.rows["tasks"] == rehearsed.rows["tasks"]
    with pytest.raises(JobPruned):
        await engine.get_job(1)


async def test_an_engine_runs_every_statement_under_another_schema(
    empty_dsn: str, executed: set[str]
) -> None:
    """Migration, take-over, claims, retries, discoveries, hints and the end of a job leave no statement out."""
    engine = Engine(empty_dsn, config=Config(schema=SCHEMA))
    seen: list[str] = []

    @engine.handler("story", backoff_s=0.01)
    async def story(task: Task) -> Outcome:
        seen.append(task.target)
        match task.target:
            case "flaky" if task.attempt == 1:
                return Outcome.retry("busy", retry_in_s=0.05)
            case "first":
                return Outcome.completed(
                    discovered=[NewTask("found")],
                    raises={"found": 1.0},
                    documents={"note": "kept"},
                    links={"main": ["found"]},
                    robots_delay_ms=1,
                )
            case "found":
                assert await task.document("note") == "kept"
                assert await task.earlier(task.job_id) is None
            case "hold":
                await asyncio.sleep(60)
            case "broken":
                return Outcome.failed("broken")
        return Outcome.completed()

    await engine.connect()
    tasks = [NewTask("first"), NewTask("flaky")]
    job = await engine.create_job(domain="a.example", handler="story", tasks=tasks)
    same = await engine.create_job(domain="a.example", handler="story", unless_live=True)
    assert job.id == same.id
    await leave_a_dead_worker(empty_dsn)
    async with engine:
        await until(lambda: {"first", "found", "flaky"} <= set(seen))
        # The sweep is a minute away: only the hint of this schema's channel can bring it in time.
        held = await engine.create_job(
            domain="b.example", handler="story", tasks=[NewTask("hold")], discovery_open=False
        )
        await until(lambda: "hold" in seen)
        assert 1 == await held.cancel()
        with pytest.raises(JobFinal):
            await held.enqueue([NewTask("late")])

        async def settled() -> bool:
            return (await job.info()).live == 0

        await until(settled)
        await change_what_runs(engine, seen)
        assert [] == await job.failed_tasks()
        await job.finish_discovery()
        assert JobState.COMPLETED is (await job.info()).status
        assert 3 == (await engine.summarise_job(job.id, "page")).requests - 2
        await engine.store.tasks.count_live(["story"])
        assert {"first", "found", "flaky"} == await hand_out(job)
        assert [7] == await engine.store.tasks.find_ended([(1, 7)])
        await reconcile_damage(engine, empty_dsn, held.id)

    assert await fetch(empty_dsn, "SELECT to_regnamespace('pacewheel') IS NULL AS gone") == [
        (True,)
    ]
    queries = load_queries(SCHEMA)
    assert [] == sorted(name for name, text in queries.items() if text not in executed)
