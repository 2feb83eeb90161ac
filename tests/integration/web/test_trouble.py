"""The database is away, comes, is killed, stands still; the process drains: the API says so, in words."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Engine, NewTask, Task
from pacewheel.daemon import run_until_asked
from pacewheel.web.ports import Phase
from tests.conftest import until
from tests.integration.web.conftest import Client, served, web_config
from tests.own_server import OwnServer, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A PostgreSQL of this module's own."""
    with running() as own:
        yield own


class Daemon:
    """An engine run as a daemon in this process, and a client of its server."""

    client: Client

    def __init__(self, dsn: str) -> None:
        self.engine = Engine(dsn, config=web_config(grace_s=5.0))
        self.asked: asyncio.Queue[int] = asyncio.Queue()
        self.let_go = asyncio.Event()
        self.held = asyncio.Event()

        @self.engine.handler("hold")
        async def hold(_task: Task) -> None:
            self.held.set()
            await self.let_go.wait()

    async def overview_with(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for an overview that satisfies a condition."""
        found: dict[str, Any] = {}

        async def condition() -> bool:
            found.update(await self.client.get("/api/v1/overview"))
            return holds(found)

        condition.__qualname__ = holds.__qualname__
        await until(condition)
        return found

    async def answer_of(self, path: str) -> Any:
        """Wait until a path is answered with 200, however busy the machine; return the body."""
        found: list[Any] = []

        async def is_answered() -> bool:
            status, _, body = await self.client.answer("GET", path)
            found[:] = [body]
            return status == 200

        await until(is_answered)
        return found[0]


@pytest.fixture
async def daemon(
    server: OwnServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Daemon]:
    """A daemon whose questions are given up early; no error of its server is in its log."""
    monkeypatch.setattr("pacewheel.web.database.PATIENCE_S", 0.5)
    monkeypatch.setattr("pacewheel.web.watch.WATCHED_S", 0.2)
    monkeypatch.setattr("pacewheel.observer.WAIT_S", 0.5)
    monkeypatch.setattr("pacewheel.observer.SLOW_FRESH_MAX_S", 1.0)
    monkeypatch.setattr("pacewheel.store.connections.CLOSE_TIMEOUT_S", 0.1)
    made = Daemon(server.dsn())
    yield made
    errors = [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.ERROR and record.name == "pacewheel.web"
    ]
    assert [] == errors


def words_of(overview: dict[str, Any]) -> str:
    """All findings as one text."""
    findings = overview["health"]["findings"]
    return " ".join(f"{finding['check']}: {finding['words']}" for finding in findings)


async def check_a_start_that_waits(daemon: Daemon) -> None:
    """What is known is told, what needs the database is refused in words."""
    client = daemon.client
    assert {"alive": True, "phase": "starting"} == await client.get("/healthz")
    assert not (await client.get("/readyz", 503))["ready"]
    await client.get("/metrics")
    overview = await daemon.overview_with(lambda o: "can't be reached" in words_of(o))
    assert ("failing", None) == (overview["health"]["state"], overview["totals"])
    assert "database" == overview["binds"]["verdict"]
    for path in ("jobs", "jobs/1", "jobs/1/tasks", "domains", "domains/a.example", "workers"):
        status, headers, body = await client.answer("GET", f"/api/v1/{path}")
        assert (503, "store_unavailable", "2") == (
            status,
            body["error"]["code"],
            headers["Retry-After"],
        )
        assert "waits for its database" in body["error"]["message"]
    await client.post("/api/v1/jobs/1/pause", {}, 503)
    await client.get("/api/v1/history")
    await client.get("/api/v1/session")


async def test_a_database_away_killed_and_frozen_shows_and_so_does_a_drain(
    server: OwnServer, daemon: Daemon
) -> None:
    """From the start without a database to the drain, over one server that never falls silent."""
    server.kill()
    running_it = asyncio.create_task(run_until_asked(daemon.engine, daemon.asked))
    assert daemon.engine.config.http_port is not None
    client = daemon.client = Client(daemon.engine.config.http_port)
    await until(client.answers)

    await check_a_start_that_waits(daemon)

    # The database comes.
    await asyncio.to_thread(server.start)
    await daemon.overview_with(lambda o: o["worker"]["phase"] == "running" and o["totals"])
    assert (await daemon.answer_of("/readyz"))["ready"]
    job = await daemon.engine.create_job(
        domain="a.example", handler="hold", tasks=[NewTask("one")], discovery_open=False
    )
    await asyncio.wait_for(daemon.held.wait(), 60)
    await daemon.overview_with(lambda o: o["totals"]["running"] == 1)

    # It stands still until the lease has run out.
    server.freeze()
    code, message = await client.refused("/api/v1/jobs", 503)
    assert ("store_unavailable", True) == (code, "has not answered within 0.5 s" in message)
    await daemon.overview_with(lambda o: "lease: " in words_of(o))
    overview = await daemon.overview_with(
        lambda o: "it has not answered within 0.5 s" in words_of(o)
    )
    assert 1 == overview["totals"]["running"]
    assert overview["totals_age_s"] > 0.5
    checks = (await client.get("/readyz", 503))["checks"]
    assert (True, False, False) == (checks["running"], checks["lease"], checks["database"])
    server.thaw()
    await daemon.overview_with(
        lambda o: "database: " not in words_of(o) and o["worker"]["lease_valid"]
    )

    # It is killed, and started again.
    await asyncio.to_thread(server.kill)
    overview = await daemon.overview_with(lambda o: "database: " in words_of(o))
    assert overview["totals"] is not None
    await client.refused("/api/v1/workers", 503)
    await asyncio.to_thread(server.start)
    await daemon.overview_with(lambda o: "database: " not in words_of(o))
    assert job.id == (await daemon.answer_of("/api/v1/jobs"))["jobs"][0]["id"]

    # It drains.
    daemon.asked.put_nowait(signal.SIGTERM)
    overview = await daemon.overview_with(lambda o: o["worker"]["phase"] == "draining")
    assert "process: it drains: 1 task to be settled" in words_of(overview)
    assert not (await client.get("/readyz", 503))["ready"]
    assert {"alive": True, "phase": "draining"} == await client.get("/healthz")
    daemon.let_go.set()
    await asyncio.wait_for(running_it, 60)
    assert not await client.answers()
    await client.session.close()


async def test_an_engine_that_has_let_go_of_its_database_is_no_defect(dsn: str) -> None:
    """Between the engine's stop and the server's."""
    engine = Engine(dsn, config=web_config())
    await engine.start()
    async with served(engine, phase=Phase.DRAINING) as client:
        await client.get("/api/v1/workers")
        await engine.stop(0.0)
        code, message = await client.refused("/api/v1/workers", 503)
        assert ("store_unavailable", True) == (code, "the process is ending" in message)
        assert "failing" == (await client.get("/api/v1/overview"))["health"]["state"]


async def test_a_defect_is_one_line_and_a_traceback_in_the_log(
    client: Client,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No traceback leaves the process, and no password."""

    async def broken() -> None:
        raise RuntimeError("postgresql://me:sesame@host/db broke")

    monkeypatch.setattr(engine.store.overview, "list_workers", broken)
    code, message = await client.refused("/api/v1/workers", 500)
    assert "defect" == code
    assert "unexpected RuntimeError: postgresql://me:***@host/db broke; please report" in message
    assert any(record.exc_info for record in caplog.records if record.name == "pacewheel.web")
