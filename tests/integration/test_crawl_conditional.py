"""A job that builds on an earlier one asks only for what has changed, over real sockets and SQL."""

from __future__ import annotations

import json

from pacewheel import Engine
from pacewheel.crawl import urls
from pacewheel.crawl.warm import WarmHandler, initial_tasks, validate_options
from pacewheel.registry import Handler
from tests.conftest import fetch
from tests.loopback_server import Exchange, Server, client_of, serving

TAG, OTHER_TAG = '"v1"', '"v2"'


async def warm(dsn: str, start: str, **more: object) -> dict[str, dict[str, object]]:
    """Run a warm job; return the details of its pages by path."""
    async with client_of() as client:
        engine = Engine(dsn)
        engine.add_handler(Handler("warm", WarmHandler(client), own_departure=True))
        await engine.connect()
        options = validate_options({"start": [start], "sitemap": False, **more})
        job = await engine.create_job(
            domain=urls.authority(start),
            handler="warm",
            options=options,
            tasks=initial_tasks([start], options),
            discovery_open=False,
        )
        await engine.run_until_idle()
    rows = await fetch(
        dsn,
        "SELECT t.target, r.detail::text FROM pacewheel.results r JOIN pacewheel.tasks t "
        "ON t.id = r.task_id AND t.domain_id = r.domain_id WHERE r.job_id = $1 AND r.outcome = 3",
        job.id,
    )
    details = {"/" + row["target"].removeprefix(start): json.loads(row["detail"]) for row in rows}
    return {"job": {"id": job.id}, **details}


async def test_what_has_not_changed_is_asked_for_conditionally_and_not_sent(dsn: str) -> None:
    """Its validators go from job to job; a page whose links are followed is asked for whole."""
    tags = {"/": TAG, "/same": TAG, "/new": TAG}

    async def site(_server: Server, exchange: Exchange) -> None:
        tag = tags.get(exchange.path)
        if tag is None:
            await exchange.answer(b"", "404 Not Found")
        elif f"If-None-Match: {tag}\r\n".encode() in exchange.head:
            await exchange.send(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        else:
            page = b"<a href=/same></a><a href=/new></a>"
            await exchange.answer(page, Content_Type="text/html", ETag=tag)

    async with serving(site) as server:
        first = await warm(dsn, server.url, max_depth=1)
        tags["/new"] = OTHER_TAG
        before = len(server.requests)
        second = await warm(dsn, server.url, max_depth=1, conditional_on=first["job"]["id"])
        third = await warm(dsn, server.url, max_depth=1, conditional_on=second["job"]["id"])
        asked = {head.split(b" ")[1].decode(): head for head in server.requests[before:]}
    assert {"etag": TAG} == first["/same"]["validators"]
    assert "unchanged" not in first["/same"]
    assert (True, {"etag": TAG}) == (second["/same"]["unchanged"], second["/same"]["validators"])
    assert "unchanged" not in second["/new"]
    assert {"etag": OTHER_TAG} == second["/new"]["validators"]
    assert {True} == {third["/same"]["unchanged"], third["/new"]["unchanged"]}
    assert b"If-None-Match" not in asked["/"]
    assert {"/", "/same", "/new"} <= third.keys()
