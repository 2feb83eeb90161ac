"""A site of several hosts on a real engine: one pace, a robots.txt each, the address guard for all."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from pacewheel.crawl import guard
from pacewheel.crawl.warm import initial_tasks, validate_options
from tests.conftest import fetch
from tests.departures import assert_kept
from tests.integration.test_warm_discovery import warming
from tests.loopback_server import Exchange, Server, serving

if TYPE_CHECKING:
    import pytest

GAP_MS = 100


def resolve(host: str, port: int) -> list[Any]:
    """Every host of the site is this machine, but for one that is in a private network."""
    address = "10.0.0.1" if host.startswith("inner.") else "127.0.0.1"
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


async def test_all_hosts_of_a_site_share_its_pace_and_have_their_own_robots(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No two requests closer than the gap, whatever host they are for; nothing that a host forbids."""
    monkeypatch.setattr(guard, "_getaddrinfo", resolve)
    arrived: list[str] = []

    async def site(server: Server, exchange: Exchange) -> None:
        host = exchange.head.partition(b"Host: ")[2].partition(b":")[0].decode()
        arrived.append(host + exchange.path)
        shop = f"http://shop.site.test:{server.port}"
        links = (
            f"<a href={shop}/a></a><a href={shop}/private></a><a href=/b></a>"
            f"<a href=http://inner.site.test:{server.port}/></a><a href=http://other.test/></a>"
        )
        bodies = {
            "site.test/robots.txt": b"User-agent: *\nDisallow: /b",
            "shop.site.test/robots.txt": b"User-agent: *\nDisallow: /private",
            "site.test/": links.encode(),
            "shop.site.test/a": b"<a href=/b></a>",
        }
        await exchange.answer(bodies.get(host + exchange.path, b"x"), Content_Type="text/html")

    async with serving(site) as server, warming(dsn) as engine:
        home = f"http://site.test:{server.port}/"
        options = validate_options({"start": [home], "subdomains": True, "sitemap": False})
        await engine.create_job(
            domain=f"site.test:{server.port}",
            handler="warm",
            concurrency=8,
            options=options,
            domain_delay_ms=GAP_MS,
            tasks=initial_tasks([home], options),
            discovery_open=False,
        )
        await engine.run_until_idle()
    assert {
        "site.test/robots.txt", "site.test/", "shop.site.test/robots.txt", "shop.site.test/a",
        "shop.site.test/b",
    } == set(arrived)  # fmt: skip
    assert 5 == len(arrived)
    await assert_kept(dsn, 5, GAP_MS)
    assert 1 == (await fetch(dsn, "SELECT count(*) FROM pacewheel.domains"))[0][0]
    ended = await fetch(
        dsn,
        "SELECT t.target, r.error FROM pacewheel.results r JOIN pacewheel.tasks t ON t.id = r.task_id "
        "WHERE t.target LIKE '%inner%' AND r.outcome <> 1 ORDER BY r.finished_at DESC LIMIT 2",
    )
    inner = f"http://inner.site.test:{server.port}/"
    assert {f"{inner}robots.txt": "refused", inner: "robots_unknown"} == dict(map(tuple, ended))
