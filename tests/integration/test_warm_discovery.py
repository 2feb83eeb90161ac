"""Robots and sitemaps on a real engine: what is followed, when pages may start, what is asked again."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pacewheel import Engine, JobState
from pacewheel.crawl import permission
from pacewheel.crawl.client import GuardedClient
from pacewheel.crawl.warm import BREAKER, WarmHandler, initial_tasks, validate_options
from pacewheel.registry import Handler
from tests.conftest import fetch
from tests.loopback_server import LOOPBACK, Exchange, Server, serving

if TYPE_CHECKING:
    import pytest

DAY_S = 24 * 3600
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def entries(first: int, end: int) -> bytes:
    """Entries of a urlset for the pages /first to /end."""
    return b"".join(b"<url><loc>/%d</loc></url>" % number for number in range(first, end))


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; the empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def asked(server: Server) -> Counter[str]:
    """How often each path was requested."""
    return Counter(head.split(b" ")[1].decode() for head in server.requests)


@asynccontextmanager
async def warming(dsn: str, now_s: Callable[[], float] = lambda: 1e9) -> AsyncIterator[Engine]:
    """An engine that warms loopback sites."""
    async with GuardedClient(LOOPBACK) as client:
        engine = Engine(dsn)
        handler = WarmHandler(client, now_s)
        engine.add_handler(
            Handler("warm", handler, timeout_s=30, own_departure=True, breaker=BREAKER)
        )
        await engine.connect()
        yield engine


async def warm_site(engine: Engine, server: Server, **job: Any) -> None:
    """Run one job for the server's site until it is done."""
    options = validate_options({"start": [server.url], "links": False})
    await engine.create_job(
        domain=f"127.0.0.1:{server.port}",
        handler="warm",
        concurrency=20,
        options=options,
        tasks=initial_tasks([server.url], options),
        discovery_open=False,
        **job,
    )
    await engine.run_until_idle()


async def detail_of(dsn: str, kind: str) -> dict[str, Any]:
    """The detail of the last result of this kind."""
    rows = await fetch(
        dsn,
        "SELECT detail::text AS detail FROM pacewheel.results WHERE detail->>'kind' = $1 "
        "ORDER BY finished_at DESC LIMIT 1",
        kind,
    )
    detail: dict[str, Any] = json.loads(rows[0]["detail"])
    return detail


async def test_the_first_pages_are_fetched_before_the_sitemap_ends(dsn: str) -> None:
    """The server sends the rest only when it has seen a page; whoever waits for it waits in vain."""
    page_seen = asyncio.Event()

    async def site(_server: Server, exchange: Exchange) -> None:
        if exchange.path == "/robots.txt":
            await exchange.answer(b"", "404 Not Found")
        elif exchange.path == "/sitemap.xml":
            await exchange.send(CHUNKED + chunk(b"<urlset>" + entries(0, 550)))
            await page_seen.wait()
            await exchange.send(chunk(entries(550, 600) + b"</urlset>") + chunk(b""))
        else:
            if exchange.path == "/7":
                page_seen.set()
            await exchange.answer(b"ok")

    async with serving(site) as server, warming(dsn) as engine:
        await warm_site(engine, server)
    expected = {f"/{number}": 1 for number in range(600)}
    assert {**expected, "/": 1, "/robots.txt": 1, "/sitemap.xml": 1} == asked(server)
    assert 600 == (await detail_of(dsn, "sitemap"))["urls"]


async def test_a_sitemap_without_end_is_left_when_the_job_is_full(dsn: str) -> None:
    """Lesson 12: no more of it is read than max_tasks needs, and that is said."""
    sent = 0

    async def site(_server: Server, exchange: Exchange) -> None:
        nonlocal sent
        if exchange.path == "/sitemap.xml":
            await exchange.send(CHUNKED + chunk(b"<urlset>"))
            while True:
                await exchange.send(chunk(entries(sent, sent + 100)))
                sent += 100
        await exchange.answer(b"")

    async with serving(site) as server, warming(dsn) as engine:
        await warm_site(engine, server, max_tasks=50)
    assert 50 == sum(asked(server).values())
    detail = await detail_of(dsn, "sitemap")
    assert ["the job takes no more tasks: the rest is left out"] == detail["warnings"]
    assert detail["truncated"]
    assert detail["urls"] - 47 == detail["left_out"]["job_full"]
    assert detail["urls"] < 2000
    (job,) = await fetch(dsn, "SELECT status, total, completed FROM pacewheel.jobs")
    assert (JobState.COMPLETED, 50, 50) == tuple(job)


async def test_a_sitemap_that_breaks_off_is_read_again_and_each_page_fetched_once(dsn: str) -> None:
    """What the first attempt added stays; the second offers it again."""
    attempts = 0

    async def site(_server: Server, exchange: Exchange) -> None:
        nonlocal attempts
        if exchange.path == "/sitemap.xml":
            attempts += 1
            await exchange.send(CHUNKED + chunk(b"<urlset>" + entries(0, 550)))
            if attempts == 1:
                return exchange.reset()
            await exchange.send(chunk(entries(550, 560) + b"</urlset>") + chunk(b""))
            return None
        return await exchange.answer(b"")

    async with serving(site) as server, warming(dsn) as engine:
        await warm_site(engine, server)
    pages = {f"/{number}": 1 for number in range(560)}
    assert {**pages, "/": 1, "/robots.txt": 1, "/sitemap.xml": 2} == asked(server)


async def test_a_robots_redirect_to_a_refused_address_is_not_followed(dsn: str) -> None:
    """Every hop passes the guard; without the rules nothing of the site is fetched."""

    async def site(_server: Server, exchange: Exchange) -> None:
        await exchange.answer(b"", "302 Found", Location="http://10.255.255.1/robots.txt")

    async with serving(site) as server, warming(dsn) as engine:
        await warm_site(engine, server)
    assert {"/robots.txt": 1} == asked(server)
    (hop,) = await fetch(
        dsn,
        "SELECT target FROM pacewheel.results JOIN pacewheel.tasks t ON t.id = task_id "
        "WHERE error = 'refused'",
    )
    assert "http://10.255.255.1/robots.txt" == hop["target"]


async def test_robots_on_another_host_is_followed_and_fetched_again_after_a_day(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its second version forbids what the first one let in; nothing is fetched by the old one."""
    monkeypatch.setattr(permission, "_REFETCH_S", 0.1)
    now_s = 1e9

    async def elsewhere(server: Server, exchange: Exchange) -> None:
        first = b"User-agent: *\nDisallow: /0\n"
        second = b"User-agent: *\n\nDisallow: /1\n"
        await exchange.answer(first if len(server.requests) == 1 else second)

    async with serving(elsewhere) as other, warming(dsn, lambda: now_s) as engine:

        async def site(_server: Server, exchange: Exchange) -> None:
            nonlocal now_s
            if exchange.path == "/robots.txt":
                return await exchange.answer(b"", "301 Moved", Location=f"{other.url}rules")
            if exchange.path == "/sitemap.xml":
                await exchange.answer(b"<urlset>" + entries(0, 20) + b"</urlset>")
                now_s += DAY_S
                return None
            return await exchange.answer(b"")

        async with serving(site) as server:
            await warm_site(engine, server)
    assert {"/rules": 2} == asked(other)
    paths = asked(server)
    assert (2, 1) == (paths.pop("/robots.txt"), paths.pop("/sitemap.xml"))
    assert {"/", *(f"/{number}" for number in range(2, 10))} == set(paths)
    skipped = await fetch(
        dsn,
        "SELECT target, detail->>'line' AS line FROM pacewheel.results JOIN pacewheel.tasks t "
        "ON t.id = task_id WHERE error = 'robots' ORDER BY target",
    )
    assert 11 == len(skipped)
    assert {"3"} == {row["line"] for row in skipped}


async def test_failed_pages_that_are_run_again_are_checked_against_robots_first(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new job fetches robots.txt, then the page that failed, and nothing else."""
    monkeypatch.setattr(permission, "_REFETCH_S", 0.1)
    broken = True

    async def site(_server: Server, exchange: Exchange) -> None:
        is_missing = exchange.path != "/robots.txt" and broken
        await exchange.answer(b"", "404 Not Found" if is_missing else "200 OK")

    async with serving(site) as server:
        async with warming(dsn) as engine:
            await warm_site(engine, server)
        broken = False
        before = asked(server)
        async with warming(dsn) as engine:
            job = await engine.get_job(1)
            await job.retry_failed([server.url])
            await engine.run_until_idle()
    assert {"/robots.txt": 1, "/": 1} == asked(server) - before
    (counts,) = await fetch(dsn, "SELECT completed, total FROM pacewheel.jobs WHERE id = 2")
    assert (2, 2) == tuple(counts)
