"""The JSON API, changing: the actions of the command line, by the same functions.

That a request is meant has been proved by now (`guard`). Its body is a small JSON object, or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pacewheel import changes, parsing
from pacewheel.errors import ConfigInvalid
from pacewheel.web.answers import Refused, answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from pacewheel.changes import Change
    from pacewheel.job import Job
    from pacewheel.web.database import Database
    from pacewheel.web.ports import Engine

BASE = "/api/v1"
KEYS_MAX = 1_000
DELAY_MAX_MS = 3_600_000


class Actions:
    """Changes jobs and domains."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine = engine
        self._database = database

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        for verb in ("cancel", "pause", "resume", "retry", "priority"):
            router.add_post(f"{BASE}/jobs/{{job_id}}/{verb}", getattr(self, verb))
        router.add_post(f"{BASE}/domains/{{name}}/delay", self.delay)

    async def pause(self, request: web.Request) -> web.Response:
        """Start nothing more of a job."""
        await _body(request)
        return await self._change(request, changes.pause)

    async def resume(self, request: web.Request) -> web.Response:
        """Go on with a paused job."""
        await _body(request)
        return await self._change(request, changes.resume)

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a job, or tasks of it."""
        keys = _keys(await _body(request, "keys"))
        return await self._change(request, lambda job: changes.cancel(job, keys))

    async def retry(self, request: web.Request) -> web.Response:
        """Run failed tasks again."""
        keys = _keys(await _body(request, "keys"))
        return await self._change(request, lambda job: changes.retry(job, keys))

    async def priority(self, request: web.Request) -> web.Response:
        """Give a job, or tasks of it, another priority."""
        body = await _body(request, "keys", "priority")
        keys, priority = _keys(body), body.get("priority")
        return await self._change(request, lambda job: changes.reprioritise(job, priority, keys))

    async def delay(self, request: web.Request) -> web.Response:
        """Set the least gap between two requests of a domain."""
        name = request.match_info["name"]
        given = (await _body(request, "delay_ms")).get("delay_ms")
        text = "" if isinstance(given, bool) or given is None else str(given)
        delay_ms = parsing.whole("delay_ms", text, DELAY_MAX_MS, least=0)
        done = await self._database.change(
            lambda store: changes.set_delay(store.changes, name, delay_ms)
        )
        return answer({**done.values, "words": done.words})

    async def _change(
        self, request: web.Request, change: Callable[[Job], Awaitable[Change]]
    ) -> web.Response:
        job_id = parsing.job_id(request.match_info["job_id"])

        async def run() -> Change:
            return await change(await self._engine.get_job(job_id))

        done = await self._database.change(lambda _: run())
        return answer({"job_id": job_id, **done.values, "words": done.words})


async def _body(request: web.Request, *known: str) -> dict[str, Any]:
    """Return the request's JSON object; none is an empty one.

    Raises:
        Refused, ConfigInvalid: it is something else, or has keys that nobody knows.
    """
    content = await request.read()
    if not content:
        return {}
    if request.content_type != "application/json":
        raise Refused(415, "no_json", "send the body as application/json")
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ConfigInvalid(f"the body is no JSON ({error}); correct it") from None
    if not isinstance(body, dict):
        raise ConfigInvalid("the body is no JSON object; give one such as {}")
    for key in body:
        if key not in known:
            shown = ", ".join(known) or "none"
            raise ConfigInvalid(f"unknown key {key[:80]!r} in the body; known here: {shown}")
    return body


def _keys(body: dict[str, Any]) -> list[str]:
    keys = body.get("keys", [])
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ConfigInvalid("keys is refused; give a list of tasks' keys")
    if "keys" in body and not 1 <= len(keys) <= KEYS_MAX:
        raise ConfigInvalid(f"keys is refused; give 1 to {KEYS_MAX} of them, or leave it out")
    return keys
