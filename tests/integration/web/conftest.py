"""An engine and its HTTP server, as the daemon runs them, and a client that speaks to it over a socket."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from pacewheel import Config, Engine, NewTask, Outcome, Task
from pacewheel.web import WebServer
from pacewheel.web.ports import Phase
from tests.conftest import PROMPT, until
from tests.own_server import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pacewheel.job import Job

TOKEN = "correct-horse-battery"


class Client:
    """Asks one server, as a browser's page or a script does."""

    web: WebServer

    def __init__(self, port: int, **headers: str) -> None:
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        self.session = aiohttp.ClientSession(
            headers=headers, cookie_jar=aiohttp.CookieJar(unsafe=True)
        )

    async def answers(self) -> bool:
        """Whether anybody listens there."""
        try:
            await self.get("/healthz")
        except aiohttp.ClientConnectionError:
            return False
        return True

    async def answer(
        self, method: str, path: str, **options: Any
    ) -> tuple[int, aiohttp.typedefs.LooseHeaders, Any]:
        """Status, headers and body (JSON if it is) of one request; redirects are not followed."""
        options.setdefault("allow_redirects", False)
        async with self.session.request(method, self.base + path, **options) as response:
            body: Any = await response.read()
            if response.content_type == "application/json":
                body = await response.json()
            return response.status, response.headers, body

    async def get(self, path: str, status: int = 200, **options: Any) -> Any:
        """The body of a GET that is answered with this status."""
        found, _, body = await self.answer("GET", path, **options)
        assert status == found, body
        return body

    async def post(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """The body of a change, made as the dashboard makes it."""
        session = await self.get("/api/v1/session")
        sent = {"X-Pacewheel-CSRF": session["csrf"], **headers}
        found, _, answer = await self.answer("POST", path, json=body, headers=sent)
        assert status == found, answer
        return answer

    async def refused(self, path: str, status: int, **options: Any) -> tuple[str, str]:
        """Code and message of a GET that is refused with this status."""
        error = (await self.get(path, status, **options))["error"]
        return error["code"], error["message"]


@contextlib.asynccontextmanager
async def served(
    engine: Engine, *, phase: Phase = Phase.RUNNING, **headers: str
) -> AsyncIterator[Client]:
    """Serve an engine, which whoever has it starts or not."""
    async with WebServer(engine) as web:
        web.life.phase = phase
        assert web.address is not None
        client = Client(web.address[1], **headers)
        client.web = web
        try:
            yield client
        finally:
            await client.session.close()


def web_config(**settings: Any) -> Config:
    """Short beats, and a port of its own."""
    return Config(**{**PROMPT, "http_port": free_port(), **settings})


def add_handlers(engine: Engine) -> None:
    """Handlers that complete, fail and hold."""

    @engine.handler("note", attempts=1)
    async def note(task: Task) -> Outcome:
        return Outcome.failed("broken") if task.target == "broken" else Outcome.completed()

    @engine.handler("hold")
    async def hold(_task: Task) -> None:
        await asyncio.sleep(3600)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine: no answer is refused because it takes long."""
    monkeypatch.setattr("pacewheel.web.watch.PATIENCE_S", 45.0)
    monkeypatch.setattr("pacewheel.web.database.PATIENCE_S", 45.0)
    monkeypatch.setattr("pacewheel.observer.WAIT_S", 45.0)


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[Engine]:
    """A running engine with handlers."""
    made = Engine(dsn, config=web_config())
    add_handlers(made)
    await made.start()
    yield made
    await made.stop(0.0)


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[Client]:
    """The server of that engine, without a token."""
    async with served(engine) as made:
        yield made


@pytest.fixture
async def job(engine: Engine) -> Job:
    """A job with completed, failed, running and waiting tasks, on a domain with a gap."""
    made = await engine.create_job(
        domain="a.example:8080",
        handler="note",
        domain_delay_ms=5,
        tasks=[NewTask("one"), NewTask("broken"), NewTask("later", ready_in_s=3600)],
    )

    async def settled() -> bool:
        info = await made.info()
        return (info.completed, info.failed) == (1, 1)

    await until(settled)
    return made
