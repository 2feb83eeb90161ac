"""What machines ask: is the process alive, is it ready, what are its metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from pacewheel.errors import PacewheelError
from pacewheel.web.answers import answer
from pacewheel.web.ports import Phase

if TYPE_CHECKING:
    from pacewheel.web.database import Database
    from pacewheel.web.ports import Engine, Life

READY_PATIENCE_S = 3.0


class Probes:
    """`/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, engine: Engine, life: Life, database: Database) -> None:
        self._engine = engine
        self._life = life
        self._database = database

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        router.add_get("/healthz", self.healthz)
        router.add_get("/readyz", self.readyz)
        router.add_get("/metrics", self.metrics)

    async def healthz(self, _request: web.Request) -> web.Response:
        """Say that the process lives and its loop turns: whoever hears nothing should restart it."""
        return answer({"alive": True, "phase": self._life.phase.value})

    async def readyz(self, _request: web.Request) -> web.Response:
        """Say whether it works: 200, or 503 and what is missing."""
        checks = {
            "running": self._life.phase is Phase.RUNNING,
            "lease": self._engine.held is not None and self._engine.held.lease_valid(),
            "listener": self._engine.metrics.value("pacewheel_listener_up") > 0,
            "database": await self._has_database(),
        }
        # Without hints work is found later, and still done.
        ready = all(checks[name] for name in ("running", "lease", "database"))
        return answer({"ready": ready, "checks": checks}, status=200 if ready else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Give all metrics in Prometheus's text form."""
        await self._engine.observer.refresh()
        text = generate_latest(self._engine.metrics.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def _has_database(self) -> bool:
        try:
            async with asyncio.timeout(READY_PATIENCE_S):
                await self._database.ask(lambda store: store.ping())
        except (PacewheelError, TimeoutError):
            return False
        return True
