"""A site that generates pages without end, on a real engine that is started again and again."""

from __future__ import annotations

import asyncio

from pacewheel import JobState
from pacewheel.crawl.warm import initial_tasks, validate_options
from tests.conftest import fetch, until
from tests.integration.test_warm_discovery import asked, warming
from tests.loopback_server import Exchange, Server, serving

LIMIT = 300
RESTARTS = 3
# What a restart forgets of a path at most.
FORGOTTEN = 63


async def test_a_calendar_without_end_ends_across_restarts(dsn: str) -> None:
    """Each page leads to ten more; the job completes by itself, and says what it left out."""

    async def site(_server: Server, exchange: Exchange) -> None:
        number = int(exchange.path.partition("=")[2] or 0)
        links = "".join(f"<a href='/calendar?day={10 * number + k}'></a>" for k in range(1, 11))
        body = b"" if exchange.path == "/robots.txt" else links.encode()
        await exchange.answer(body, Content_Type="text/html")

    async with serving(site) as server:
        options = validate_options({"start": [server.url], "max_queries": LIMIT, "sitemap": False})
        async with warming(dsn) as engine:
            await engine.create_job(
                domain=f"127.0.0.1:{server.port}",
                handler="warm",
                concurrency=4,
                options=options,
                tasks=initial_tasks([server.url], options),
                discovery_open=False,
            )
            await engine.close()
        for restart in range(RESTARTS):
            async with warming(dsn) as engine:
                await engine.start()
                await until(lambda: len(server.requests) >= 60 * (restart + 1))  # noqa: B023
                await engine.stop()
        async with warming(dsn) as engine:
            await asyncio.wait_for(engine.run_until_idle(), 60)
            await engine.connect()
            (info,) = await engine.list_jobs()
            summary = await engine.summarise_job(info.id, "page")
            await engine.close()
    assert JobState.COMPLETED == info.status
    assert LIMIT * 0.95 <= len(asked(server)) <= LIMIT * 1.05 + FORGOTTEN * RESTARTS
    assert summary.left_out["trap_queries"] > LIMIT
    rows = await fetch(dsn, "SELECT name FROM pacewheel.documents ORDER BY name")
    assert ["queries", "robots"] == [row["name"] for row in rows]
