"""Without hints the work goes on: cut, frozen, refused and deaf listening connections."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pacewheel import Config, Engine, NewTask, Task
from pacewheel.engine import Job
from tests.conftest import fetch, until
from tests.postgres_proxy import PostgresProxy, proxy_to

listener_module = importlib.import_module("pacewheel.store.listener")
notifier_module = importlib.import_module("pacewheel.services.notifier")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe after half a second instead of fifteen; try again after a quarter of one at most.

    No sweep comes earlier while nothing is heard: what is missed is found by the new connection.
    """
    monkeypatch.setattr(listener_module, "PROBE_AFTER_S", 0.5)
    monkeypatch.setattr(listener_module, "PROBE_TIMEOUT_S", 0.5)
    monkeypatch.setattr(notifier_module, "PAUSE_MAX_S", 0.25)
    monkeypatch.setattr("pacewheel.services.sweeper.DEAF_SWEEP_S", 60.0)


class Hearing:
    """An engine that reaches its database through a proxy, and another one that does not."""

    def __init__(self, dsn: str, proxy: PostgresProxy, sweep_s: float) -> None:
        self.proxy = proxy
        self.engine = Engine(proxy.dsn, config=Config(sweep_s=sweep_s, idle_release_s=3600))
        self.other = Engine(dsn)
        self.seen: list[str] = []
        self.job: Job

        @self.engine.handler("note")
        async def note(task: Task) -> None:
            self.seen.append(task.target)

    def is_up(self) -> bool:
        """Tell whether the engine says that it hears."""
        return self.engine.metrics.value("pacewheel_listener_up") == 1

    def reconnects(self) -> float:
        """Return how often it tried again."""
        return self.engine.metrics.value("pacewheel_listener_reconnects_total")

    async def enqueue(self, target: str) -> None:
        """Enqueue in another process a task of a domain that is held; wait for its start."""
        await self.job.enqueue([NewTask(target)])
        await until(lambda: target in self.seen)


@asynccontextmanager
async def hearing(
    dsn: str, *, listening: str = "passed", sweep_s: float = 60.0
) -> AsyncIterator[Hearing]:
    """Start the engine with one task done, so that its domain is held and idle."""
    async with proxy_to(dsn) as proxy:
        proxy.listening = listening  # type: ignore[assignment]  # one of its three
        them = Hearing(dsn, proxy, sweep_s)
        await them.other.connect()
        async with them.engine:
            them.job = await them.other.create_job(
                domain="a.example", handler="note", tasks=[NewTask("first")]
            )
            await until(lambda: them.seen == ["first"])
            yield them
        await them.other.close()


async def test_a_listener_that_hears_says_so_and_is_not_made_anew(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probe after probe comes back, and a hint takes the place of one."""
    # However late a busy machine hears them.
    monkeypatch.setattr(listener_module, "PROBE_TIMEOUT_S", 60.0)
    async with hearing(dsn) as them:
        await until(them.is_up)
        await them.enqueue("heard")
        await asyncio.sleep(1.5)  # long enough for two probes
        assert them.is_up()
        assert 0 == them.reconnects()
        assert 1 <= them.engine.metrics.value("pacewheel_hints_received_total", verb="enqueued")
    assert not them.is_up()


async def test_a_frozen_connection_is_found_and_replaced(dsn: str) -> None:
    """Packets are dropped without a word, either way: the probe is not heard, a new connection is."""
    async with hearing(dsn) as them:
        await until(them.is_up)
        assert 1 == them.proxy.freeze()
        await them.job.enqueue([NewTask("missed")])
        await until(lambda: them.reconnects() >= 1)
        await until(lambda: "missed" in them.seen)
        await until(them.is_up)
        await them.enqueue("heard")


async def test_a_terminated_backend_is_replaced(dsn: str) -> None:
    """The server ends it: nothing is waited for."""
    async with hearing(dsn) as them:
        await until(them.is_up)
        (ended,) = await fetch(
            dsn,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        assert ended[0]
        await until(lambda: them.reconnects() == 1)
        await until(them.is_up)
        await them.enqueue("heard")


@pytest.mark.parametrize("listening", ["refused", "deaf"])
async def test_behind_a_pooler_without_listen_the_sweep_finds_the_work(
    dsn: str, listening: str
) -> None:
    """Whether LISTEN is refused or taken and forgotten; the engine says so and lives on."""
    async with hearing(dsn, listening=listening, sweep_s=0.5) as them:
        await until(lambda: them.reconnects() >= 3)
        assert not them.is_up()
        await them.enqueue("unheard")
        assert 2 <= them.engine.metrics.value("pacewheel_sweeps_total")
        them.proxy.listening = "passed"
        await until(them.is_up)
