"""The JSON API, reading: each route is one question, its answer the forms of `pacewheel.plain`.

Lists are cut, and say where to read on. What a job's verdict costs is bounded by `Insights`.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aiohttp import web

from pacewheel import parsing
from pacewheel.clock import monotonic_ms
from pacewheel.errors import ConfigInvalid
from pacewheel.model import TaskState
from pacewheel.overview import DomainSort
from pacewheel.plain import (
    detail_json,
    domain_json,
    job_json,
    page_json,
    task_json,
    waiting_json,
    worker_json,
)
from pacewheel.web.answers import answer
from pacewheel.web.guard import SESSION
from pacewheel.web.openapi import document

if TYPE_CHECKING:
    from pacewheel.model import JobInfo
    from pacewheel.overview import DomainInfo
    from pacewheel.web.database import Database
    from pacewheel.web.events import Events
    from pacewheel.web.insights import Insights
    from pacewheel.web.ports import Engine
    from pacewheel.web.sessions import Sessions
    from pacewheel.web.watch import Watch

BASE = "/api/v1"
LIMIT = 100
LIMIT_MAX = 500
OFFSET_MAX = 1_000_000
DOMAIN_JOBS_MAX = 100
TEXT_CHARS_MAX = 256
STATES = tuple(state.name.lower() for state in TaskState)


class Api:
    """Answers questions."""

    def __init__(
        self,
        *,
        engine: Engine,
        database: Database,
        sessions: Sessions,
        watch: Watch,
        events: Events,
        insights: Insights,
    ) -> None:
        self._engine = engine
        self._database = database
        self._sessions = sessions
        self._watch = watch
        self._events = events
        self._insights = insights
        self._document = document()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the routes."""
        for path, handler in (
            ("/openapi.json", self.openapi),
            ("/session", self.session),
            ("/overview", self.overview),
            ("/history", self.history),
            ("/events", self._events.serve),
            ("/jobs", self.jobs),
            ("/jobs/{job_id}", self.job),
            ("/jobs/{job_id}/tasks", self.tasks),
            ("/jobs/{job_id}/failed", self.failed),
            ("/jobs/{job_id}/tasks/{task_id}", self.task),
            ("/domains", self.domains),
            ("/domains/{name}", self.domain),
            ("/workers", self.workers),
        ):
            # The head of a stream would hold its place for ever.
            router.add_get(f"{BASE}{path}", handler, allow_head=handler != self._events.serve)

    async def openapi(self, _request: web.Request) -> web.Response:
        """Describe the API."""
        return answer(self._document)

    async def session(self, request: web.Request) -> web.Response:
        """Say who is served, and what actions must prove."""
        session = request[SESSION]
        held = self._engine.held
        return answer(
            {
                "csrf": None if session is None else self._sessions.csrf(session),
                "needs_token": self._sessions.needs_token,
                "version": version("pacewheel"),
                "worker_id": None if held is None else held.worker_id,
            }
        )

    async def overview(self, _request: web.Request) -> web.Response:
        """Show everything at once."""
        body = await self._watch.overview()
        return web.Response(body=body, content_type="application/json")

    async def history(self, _request: web.Request) -> web.Response:
        """Show the last quarter of an hour of this process."""
        return answer(self._watch.history.series())

    async def jobs(self, request: web.Request) -> web.Response:
        """List jobs, newest first."""
        limit = _limit(request)
        before = _optional(request, "before", parsing.ID_MAX)
        live_only = _choice(request, "live", ("true", "false"), "true") == "true"
        domain = _text(request, "domain")
        jobs = await self._database.ask(
            lambda store: store.jobs.list_jobs(
                ids=None, domain=domain, live_only=live_only, limit=limit, before=before
            )
        )
        before = jobs[-1].id if len(jobs) == limit else None
        return answer({"jobs": list(map(self._job_json, jobs)), "before": before})

    async def job(self, request: web.Request) -> web.Response:
        """Show a job: its counters, why its tasks wait, what binds it, when it may end."""
        job_id = _job_id(request)
        job = await self._database.ask(lambda _: self._engine.get_job(job_id))
        info = await self._database.ask(lambda _: job.info())
        waiting = await self._database.ask(lambda _: job.explain())
        insight = await self._insights.get(info)
        return answer(
            {
                "job": job_json(info),
                "waiting": [waiting_json(each) for each in waiting],
                **insight,
            }
        )

    async def tasks(self, request: web.Request) -> web.Response:
        """List tasks of a job."""
        job_id, limit = _job_id(request), _limit(request)
        after = _text(request, "after")
        word = _choice(request, "state", STATES, None)
        state = None if word is None else TaskState[word.upper()]
        page = await self._database.ask(
            lambda store: store.overview.list_tasks(job_id, state=state, limit=limit, after=after)
        )
        return answer(page_json(page))

    async def failed(self, request: web.Request) -> web.Response:
        """List the tasks of a job that failed for good."""
        job_id, limit = _job_id(request), _limit(request)
        after = _optional(request, "after", parsing.ID_MAX, least=-parsing.ID_MAX - 1)
        job = await self._database.ask(lambda _: self._engine.get_job(job_id))
        found = await self._database.ask(lambda _: job.failed_tasks(limit=limit, after=after))
        return answer(
            {
                "job_id": job_id,
                "failed": [task_json(task) for task in found],
                "after": str(found[-1].id) if len(found) == limit else None,
            }
        )

    async def task(self, request: web.Request) -> web.Response:
        """Show a task with its attempts, and why it waits."""
        job_id = _job_id(request)
        text = request.match_info["task_id"]
        task_id = parsing.whole("task id", text, parsing.ID_MAX, least=-parsing.ID_MAX - 1)
        detail = await self._database.ask(
            lambda store: store.overview.get_task(task_id, job_id=job_id)
        )
        return answer(detail_json(detail))

    async def domains(self, request: web.Request) -> web.Response:
        """List domains."""
        limit = _limit(request)
        offset = _optional(request, "offset", OFFSET_MAX, least=0) or 0
        sorts = tuple(sort.value for sort in DomainSort)
        live_only = _choice(request, "live", ("true", "false"), "true") == "true"
        default = DomainSort.LIVE if live_only else DomainSort.NAME
        sort = DomainSort(_choice(request, "sort", sorts, default.value))
        search = _text(request, "search")
        found = await self._database.ask(
            lambda store: store.overview.list_domains(
                search=search, live_only=live_only, sort=sort, limit=limit, offset=offset
            )
        )
        more = offset + limit if len(found) == limit else None
        return answer({"domains": [self._domain_json(each) for each in found], "offset": more})

    async def domain(self, request: web.Request) -> web.Response:
        """Show a domain, its jobs, the live ones first, and why their tasks wait."""
        name = request.match_info["name"]
        info = await self._database.ask(lambda store: store.overview.get_domain(name))
        live = await self._jobs_of(name, live_only=True)
        latest = await self._jobs_of(name, live_only=False)
        jobs = [*live, *(job for job in latest if job.status.is_final)][:DOMAIN_JOBS_MAX]
        waiting = await self._database.ask(
            lambda _: self._engine.explain(job_ids=[job.id for job in live])
        )
        return answer(
            {
                "domain": self._domain_json(info),
                "jobs": list(map(self._job_json, jobs)),
                "waiting": [waiting_json(each) for each in waiting],
            }
        )

    async def _jobs_of(self, domain: str, *, live_only: bool) -> list[JobInfo]:
        return await self._database.ask(
            lambda store: store.jobs.list_jobs(
                ids=None, domain=domain, live_only=live_only, limit=DOMAIN_JOBS_MAX
            )
        )

    def _job_json(self, info: JobInfo) -> dict[str, Any]:
        return {**job_json(info), "eta": self._insights.eta(info)}

    def _domain_json(self, info: DomainInfo) -> dict[str, Any]:
        """Return a domain with what only its owner knows, if that is this process."""
        held = self._engine.held
        domain = held and held.get(info.id)
        here: dict[str, Any] = {"pace_used": None, "latency_delay_ms": None}
        if domain:
            here = {
                "pace_used": domain.pace_used.share(monotonic_ms()),
                "latency_delay_ms": domain.latency_delay_ms,
            }
        return {**domain_json(info), **here}

    async def workers(self, _request: web.Request) -> web.Response:
        """List the processes."""
        found = await self._database.ask(lambda store: store.overview.list_workers())
        return answer({"workers": [worker_json(each) for each in found]})


def _job_id(request: web.Request) -> int:
    return parsing.job_id(request.match_info["job_id"])


def _limit(request: web.Request) -> int:
    return _optional(request, "limit", LIMIT_MAX) or LIMIT


def _optional(request: web.Request, name: str, most: int, *, least: int = 1) -> int | None:
    text = request.query.get(name)
    return None if not text else parsing.whole(name, text, most, least)


def _text(request: web.Request, name: str) -> str | None:
    text = request.query.get(name, "")
    if len(text) > TEXT_CHARS_MAX or "\0" in text:
        raise ConfigInvalid(f"{name} is refused; give at most {TEXT_CHARS_MAX} characters")
    return text or None


def _choice(request: web.Request, name: str, words: tuple[str, ...], default: Any) -> Any:
    word = request.query.get(name)
    if not word:
        return default
    if word not in words:
        raise ConfigInvalid(f"{name} {word!r} is refused; give one of {', '.join(words)}")
    return word
