"""A scheduled warm job by real requests: what is about to expire in the site's cache goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel import Config
from pacewheel.cli.engines import HANDLER, warm_engine
from pacewheel.crawl.warm import initial_tasks, validate_options
from tests.conftest import until
from tests.loopback_server import serving

if TYPE_CHECKING:
    from pacewheel.job import Job
    from tests.loopback_server import Exchange, Server

# Seconds that a cache may keep each page, in the order of the links to them; none for the last.
AGES = {"/a": 5000, "/b": 300, "/c": 70_000, "/d": 900, "/e": None}
LINKS = "".join(f"<a href='{path}'>x</a>" for path in AGES)


async def answer(_server: Server, exchange: Exchange) -> None:
    """A start page that links to all others; every page has its own time to live."""
    if exchange.path == "/robots.txt":
        await exchange.answer(b"", "404 Not Found")
        return
    age = AGES.get(exchange.path, 100_000)
    headers = {} if age is None else {"Cache_Control": f"max-age={age}"}
    await exchange.answer(f"<main>{LINKS}</main>".encode(), Content_Type="text/html", **headers)


async def test_what_expires_first_is_fetched_first(dsn: str) -> None:
    """The first job goes by its links; the second by what the first has learned, robots.txt before all."""
    config = Config(dsn=dsn, allow_network=("127.0.0.0/8",), capacity=1, capacity_min=1)
    async with serving(answer) as server, warm_engine(config) as engine:
        home = server.url
        options = validate_options({"start": [home], "sitemap": False})
        async with engine:
            await engine.schedules.create(
                "often",
                domain=home.removeprefix("http://").rstrip("/"),
                handler=HANDLER,
                tasks=initial_tasks([home], options),
                every_s=3600,
                concurrency=1,
                options=options,
                expiring_first=True,
            )

            async def fetched() -> list[str]:
                before = len(server.requests)
                job: Job = await engine.schedules.fire("often")

                async def is_final() -> bool:
                    return (await job.info()).status.is_final

                await until(is_final)
                return [head.split(b" ")[1].decode() for head in server.requests[before:]]

            first, second = await fetched(), await fetched()
    assert ["/robots.txt", "/"] == first[:2]
    assert {*AGES} == {*first[2:]}
    # The start page keeps its place among those that are found, but its copy lasts longest.
    assert ["/robots.txt", "/b", "/d", "/a", "/c", "/", "/e"] == second
