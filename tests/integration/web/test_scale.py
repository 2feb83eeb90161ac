"""Ten thousand domains, each with a job: pages of bounded size, one after another, and quick."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pacewheel import Engine
from tests.conftest import execute
from tests.integration.web.conftest import served, web_config

if TYPE_CHECKING:
    from tests.integration.web.conftest import Client

DOMAINS = 10_000
BYTES_MAX = 600_000
TIME_MAX_S = 30.0


async def timed(client: Client, path: str) -> Any:
    """An answer, whose size and time are bounded."""
    began_s = time.monotonic()
    status, headers, body = await client.answer("GET", path)
    assert time.monotonic() - began_s < TIME_MAX_S, path
    assert 200 == status
    assert int(headers["Content-Length"]) < BYTES_MAX, path
    return body


async def test_of_a_domain_with_many_jobs_the_live_ones_are_shown_first(dsn: str) -> None:
    """However many came after them; of as many live ones not all are shown."""
    await execute(
        dsn,
        "INSERT INTO pacewheel.domains (name) VALUES ('a.example')",
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, total, pending, status)"
        " SELECT d.id, 'none', 8, 1, 1, CASE WHEN n > 2 THEN 3 ELSE 0 END"
        " FROM pacewheel.domains d, generate_series(1, 150) n",
    )
    engine = Engine(dsn, config=web_config())
    await engine.connect()
    async with served(engine) as client:
        page = await client.get("/api/v1/domains/a.example")
        assert [2, 1, *range(150, 52, -1)] == [job["id"] for job in page["jobs"]]
        assert [1, 2] == [each["job_id"] for each in page["waiting"]]
        await execute(dsn, "UPDATE pacewheel.jobs SET status = 0")
        page = await client.get("/api/v1/domains/a.example")
        assert [*range(150, 50, -1)] == [job["id"] for job in page["jobs"]]
        assert [*range(51, 151)] == [each["job_id"] for each in page["waiting"]]
    await engine.close()


async def test_ten_thousand_domains_are_read_page_by_page(dsn: str) -> None:
    """All of them, once each, and so are their jobs; the overview costs what one page does."""
    await execute(
        dsn,
        f"INSERT INTO pacewheel.domains (name, base_delay_ms) SELECT 'd' || n || '.example', n"
        f" FROM generate_series(1, {DOMAINS}) n",
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, total, pending)"
        " SELECT id, 'none', 8, 1, 1 FROM pacewheel.domains",
        "INSERT INTO pacewheel.tasks (domain_id, id, job_id, priority, created_at, status, target)"
        " SELECT domain_id, pacewheel.task_id(id, 'one'), id, 0, now(), 0, 'one' FROM pacewheel.jobs",
        "ANALYZE",
    )
    engine = Engine(dsn, config=web_config())
    await engine.connect()
    async with served(engine) as client:
        seen: list[str] = []
        offset: int | None = 0
        while offset is not None:
            page = await timed(client, f"/api/v1/domains?sort=live&limit=500&offset={offset}")
            seen += [domain["name"] for domain in page["domains"]]
            offset = page["offset"]
        assert (DOMAINS, DOMAINS) == (len(seen), len(set(seen)))
        first = await timed(client, "/api/v1/jobs?limit=500")
        assert list(range(10_000, 9_500, -1)) == [job["id"] for job in first["jobs"]]
        second = await timed(client, f"/api/v1/jobs?limit=500&before={first['before']}")
        assert list(range(9_500, 9_000, -1)) == [job["id"] for job in second["jobs"]]
        last = await timed(client, "/api/v1/jobs?limit=500&before=100")
        assert (99, None) == (len(last["jobs"]), last["before"])
        found = await timed(client, "/api/v1/domains?search=D999&sort=gap")
        assert 11 == len(found["domains"])
        assert "d9999.example" == found["domains"][0]["name"]
        assert 500 == len((await timed(client, "/api/v1/domains?live=false&limit=500"))["domains"])
        overview = await timed(client, "/api/v1/overview")
        assert (DOMAINS, DOMAINS) == (
            overview["totals"]["domains_active"],
            sum(overview["totals"]["waiting_by_reason"].values()),
        )
        assert "worker_capacity" == overview["binds"]["verdict"]
        await timed(client, "/api/v1/history")
    await engine.close()
