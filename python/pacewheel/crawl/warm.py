"""The built-in handler: warms a site, one request a task.

Owns what a task of a warm job does with its answer. Robots.txt, each sitemap file, each redirect
hop and each page are tasks of the job, so every request takes its own slot of the domain's pace;
what a task discovers is returned in its outcome and committed with it. Nothing of a site is
fetched before its robots.txt has been answered, and every page is checked against it when
discovered and again when fetched.

The handler keeps no state but the cache of parsed robots rules, which fills itself.

| answer            | outcome                                                                   |
| ----------------- | ------------------------------------------------------------------------- |
| 2xx               | completed; robots, sitemap and HTML pages discover tasks                  |
| 304               | completed as `unchanged`, where the request was a conditional one         |
| 3xx with Location | completed; same site: next hop discovered (at most 5), other site: noted  |
| 429, 503          | retry; the domain is blocked as long as Retry-After asks (at most 1 day)  |
| 5xx, network      | retry by the engine's backoff; robots.txt blocks the domain meanwhile     |
| 4xx               | failed; robots.txt: everything is allowed; a guessed sitemap: skipped     |
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pacewheel.crawl import cache_verdict, charset, links, robots, sitemap, urls
from pacewheel.crawl.client import MAX_BODY_BYTES, FetchFailed, GuardedClient, Headers, Response
from pacewheel.crawl.conditional import (
    NOT_MODIFIED,
    conditions_of,
    validators_of,
    well_formed,
)
from pacewheel.crawl.discovery import (
    START_PRIORITY,
    Discovery,
    initial_tasks,
    page_task,
    redirect_task,
)
from pacewheel.crawl.options import WarmOptions, read, validate_options
from pacewheel.crawl.retry_after import retry_after_s
from pacewheel.crawl.robots import RobotsRules, RulesCache
from pacewheel.errors import TargetRefused
from pacewheel.model import NewTask, Outcome, Task
from pacewheel.pacing import Breaker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pacewheel.crawl.transport import Timings
    from pacewheel.crawl.urls import Url

__all__ = ["BREAKER", "ROBOTS_DOCUMENT", "WarmHandler", "initial_tasks", "validate_options"]

ROBOTS_DOCUMENT = "robots"
"""Name of the job's document that holds the robots.txt text (empty: everything is allowed)."""

MAX_REDIRECTS = 5

BREAKER = Breaker(frozenset({"timeout", "dns", "connect", "tls", "http_5xx", "blocked"}))
"""What, many times in a row, says that the site is down or refuses us; a 4xx is its page's own."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BLOCKING = frozenset({429, 503})
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_ACCEPT_PAGE = "text/html,application/xhtml+xml,*/*;q=0.8"
_ACCEPT_ROBOTS = "text/plain,*/*;q=0.8"
_ACCEPT_SITEMAP = "application/xml,text/xml,text/plain;q=0.9,*/*;q=0.8"
# Without Retry-After: 10 s, doubled by each attempt, 5 minutes at most.
_BLOCK_BASE_S = 10.0
# robots.txt that fails: 2 s, doubled by each attempt, 5 minutes at most.
_ROBOTS_BASE_S = 2.0
_BACKOFF_CAP_S = 300.0
_MAX_TEXT_CHARS = 200
_NO_CONDITIONS: Mapping[str, str] = {}


class WarmHandler:
    """`await handler(task)` makes the task's one request and returns its outcome."""

    def __init__(self, client: GuardedClient, *, body_bytes_max: int = MAX_BODY_BYTES) -> None:
        """Fetch through `client`, which the caller opens and closes; cut pages after so much."""
        self._client = client
        self._body_bytes_max = body_bytes_max
        self._rules = RulesCache()
        self._kinds: dict[str, Callable[[_Visit], Awaitable[Outcome]]] = {
            "robots": self._robots,
            "sitemap": self._sitemap,
            "page": self._page,
        }

    async def __call__(self, task: Task) -> Outcome:
        """Run one task.

        Raises:
            LeaseLost: from the task's `depart`; nothing was sent.
        """
        try:
            url = urls.parse(task.target)
        except TargetRefused as refused:
            return Outcome.failed("refused", detail={"message": str(refused)})
        visit = _Visit(task, url, read(task.options))
        try:
            return await self._kinds[visit.kind](visit)
        except FetchFailed as failure:
            return _after_failure(visit, failure)

    async def _robots(self, visit: _Visit) -> Outcome:
        answer = await self._fetch(
            visit, accept=_ACCEPT_ROBOTS, max_bytes=robots.MAX_ROBOTS_BYTES, want_body=_is_success
        )
        verdict = "parsed"
        text = ""
        if answer.status in _REDIRECTS:
            outcome = _redirected(visit, answer)
            if outcome.discovered:
                return outcome
            # Loops, dead ends and other sites' files leave this site without rules (RFC 9309,
            # 2.3.1.2).
            verdict = "unavailable"
        elif answer.status in _BLOCKING or answer.status >= 500:
            return _after_status(visit, answer)
        elif _is_success(answer.status, answer.headers):
            text = robots.decode(answer.body, truncated=answer.truncated)
        else:
            verdict = "unavailable"
        rules = self._rules.rules(text)
        discovery = Discovery(visit.task, visit.options, rules)
        delay_s = rules.crawl_delay_s(visit.options.user_agent)
        tasks = _start_tasks(visit)
        if visit.options.sitemap:
            for loc in rules.sitemaps:
                discovery.add_sitemap(loc, visit.url.href, 0, "robots")
            if not discovery.tasks:
                discovery.add_sitemap("/sitemap.xml", visit.url.href, 0, "guess")
        return Outcome.completed(
            **_record(visit, answer, robots=verdict, left_out=dict(discovery.left_out)),
            discovered=tasks + discovery.tasks,
            documents={ROBOTS_DOCUMENT: text},
            robots_delay_ms=None if delay_s is None else round(delay_s * 1000),
        )

    async def _sitemap(self, visit: _Visit) -> Outcome:
        rules = await self._job_rules(visit)
        if rules is None or not rules.allowed(visit.url.href, visit.options.user_agent):
            return _robots_refusal(rules)
        parser = sitemap.SitemapParser()
        answer = await self._fetch(
            visit,
            accept=_ACCEPT_SITEMAP,
            max_bytes=sitemap.MAX_SITEMAP_BYTES,
            want_body=_is_success,
            feed=parser.feed,
        )
        if answer.status in _REDIRECTS:
            return _redirected(visit, answer)
        if not _is_success(answer.status, answer.headers):
            is_missing_guess = visit.payload.get("source") == "guess" and answer.status < 500
            if is_missing_guess and answer.status not in _BLOCKING:
                return Outcome.skipped("no_sitemap", **_record(visit, answer))
            return _after_status(visit, answer)
        found = parser.close()
        discovery = Discovery(visit.task, visit.options, rules)
        await discovery.add_entries(found.urls, visit.url.href)
        if visit.depth < sitemap.MAX_INDEX_DEPTH:
            for loc in found.sitemaps:
                discovery.add_sitemap(loc, visit.url.href, visit.depth + 1, "sitemap")
        elif found.sitemaps:
            found.warnings.append(f"indexes nest deeper than {sitemap.MAX_INDEX_DEPTH}: left out")
        record = _record(
            visit,
            answer,
            sitemap=found.kind,
            urls=len(found.urls),
            left_out=dict(discovery.left_out),
            warnings=found.warnings,
        )
        return Outcome.completed(**record, discovered=discovery.tasks)

    async def _page(self, visit: _Visit) -> Outcome:
        rules = await self._job_rules(visit)
        if rules is None or not rules.allowed(visit.url.href, visit.options.user_agent):
            return _robots_refusal(rules)
        known = await _known_validators(visit)
        answer = await self._fetch(
            visit,
            accept=_ACCEPT_PAGE,
            conditions=conditions_of(known),
            max_bytes=self._body_bytes_max,
            want_body=visit.wants_links,
        )
        if answer.status in _REDIRECTS:
            return _redirected(visit, answer)
        if not 200 <= answer.status < 400:
            return _after_status(visit, answer)
        if not answer.body:
            return Outcome.completed(**_record(visit, answer, **_freshness(answer, known)))
        text = charset.decode_html(answer.body, answer.headers.get("Content-Type", ""))
        page = links.extract(text, visit.url)
        for directives in answer.headers.getall("X-Robots-Tag", ()):
            links.apply_robots_directives(directives, page)
        discovery = Discovery(visit.task, visit.options, rules)
        if page.nofollow:
            discovery.left_out["nofollow"] += len(page.links)
        else:
            await discovery.add_links(page.links, visit.depth, is_start_page=visit.is_start)
        record = _record(
            visit,
            answer,
            links=len(page.links),
            left_out=dict(discovery.left_out),
            noindex=page.noindex,
            cut=page.cut,
            **_freshness(answer, known),
        )
        return Outcome.completed(**record, discovered=discovery.tasks)

    async def _fetch(
        self, visit: _Visit, *, conditions: Mapping[str, str] = _NO_CONDITIONS, **how: Any
    ) -> Response:
        return await self._client.fetch(
            visit.url,
            depart=visit.task.depart,
            user_agent=visit.options.user_agent,
            headers={**visit.options.headers_for(visit.url), **conditions},
            **how,
        )

    async def _job_rules(self, visit: _Visit) -> RobotsRules | None:
        text = await visit.task.document(ROBOTS_DOCUMENT)
        return None if text is None else self._rules.rules(text)


class _Visit:
    """One task with its payload and options read."""

    __slots__ = ("depth", "is_start", "kind", "options", "payload", "task", "url", "via")

    def __init__(self, task: Task, url: Url, options: WarmOptions) -> None:
        payload = task.payload or {}
        self.task = task
        self.url = url
        self.options = options
        self.payload = payload
        self.kind: str = payload.get("kind", "page")
        self.depth: int = payload.get("depth", 0)
        self.via: list[str] = payload.get("via", [])
        self.is_start: bool = payload.get("start", False)

    def latency_delay_ms(self, timings: Timings) -> float | None:
        """Return the gap that the response time asks for; None if no request left."""
        if timings.total_ms is None:
            return None
        return self.options.latency_factor * timings.total_ms

    @property
    def follows_links(self) -> bool:
        """True when the page's links may become tasks, if it turns out to be HTML."""
        deepest = self.options.max_depth
        return self.options.links and (deepest is None or self.depth < deepest)

    def wants_links(self, status: int, headers: Headers) -> bool:
        """True when the body is HTML whose links may become tasks."""
        return self.follows_links and 200 <= status < 300 and _media_type(headers) in _HTML_TYPES


def _start_tasks(visit: _Visit) -> list[NewTask]:
    # A start URL that robots.txt disallows becomes a task all the same: it ends as skipped, for
    # all to see.
    tasks = []
    for start in visit.options.start:
        url = urls.parse(start)
        if urls.same_site(url, visit.task.domain):
            tasks.append(page_task(url, START_PRIORITY, 0, "start", found_by=None))
    return tasks


async def _known_validators(visit: _Visit) -> dict[str, str]:
    """Return what the job that this one builds on knows of the page; nothing if links are wanted."""
    if visit.options.conditional_on is None or visit.follows_links:
        return {}
    earlier = await visit.task.earlier(visit.options.conditional_on)
    return well_formed((earlier or {}).get("validators"))


def _freshness(answer: Response, known: dict[str, str]) -> dict[str, Any]:
    """Return what the page's result keeps for a later job; a 304 may leave its validators away."""
    if answer.status == NOT_MODIFIED and known:
        return {"unchanged": True, "validators": {**known, **validators_of(answer.headers)}}
    return {"validators": validators_of(answer.headers)}


def _redirected(visit: _Visit, answer: Response) -> Outcome:
    location = answer.headers.get("Location")
    if not location:
        return Outcome.completed(**_record(visit, answer, redirect_to=None))
    try:
        target = urls.parse(location, visit.url.href)
    except TargetRefused as refused:
        return Outcome.failed("refused", **_record(visit, answer, message=str(refused)))
    via = [*visit.via, visit.url.key]
    record = _record(visit, answer, redirect_to=target.href)
    if not urls.same_site(target, visit.task.domain):
        record["detail"]["other_site"] = True
        return Outcome.completed(**record)
    if target.key in via or len(via) > MAX_REDIRECTS:
        return Outcome.failed("redirect_loop", **record)
    return Outcome.completed(**record, discovered=[redirect_task(visit.task, target, via)])


def _after_status(visit: _Visit, answer: Response) -> Outcome:
    record = _record(visit, answer)
    if answer.status in _BLOCKING:
        asked_s = retry_after_s(answer.headers.get("Retry-After"), datetime.now(UTC))
        wait_s = asked_s if asked_s is not None else _backoff_s(visit, _BLOCK_BASE_S)
        return Outcome.retry("blocked", wait_s, block_domain_s=wait_s, **record)
    if answer.status >= 500:
        return _retry(visit, "http_5xx", record)
    return Outcome.failed("http_4xx" if answer.status >= 400 else "protocol", **record)


def _after_failure(visit: _Visit, failure: FetchFailed) -> Outcome:
    record: dict[str, Any] = {
        "detail": {"message": _clean(str(failure)), "timings": failure.timings.as_dict()},
        "latency_delay_ms": visit.latency_delay_ms(failure.timings),
    }
    if failure.is_transient:
        return _retry(visit, failure.error_class, record)
    return Outcome.failed(failure.error_class, **record)


def _retry(visit: _Visit, error: str, record: dict[str, Any]) -> Outcome:
    if visit.kind != "robots":
        return Outcome.retry(error, **record)
    # While robots.txt is unreachable, nothing of the site may be fetched, whatever job asks for it.
    wait_s = _backoff_s(visit, _ROBOTS_BASE_S)
    return Outcome.retry(error, wait_s, block_domain_s=wait_s, **record)


def _backoff_s(visit: _Visit, base_s: float) -> float:
    doublings = min(max(visit.task.attempt - 1, 0), 16)
    return float(min(base_s * 2**doublings, _BACKOFF_CAP_S))


def _robots_refusal(rules: RobotsRules | None) -> Outcome:
    if rules is None:
        message = "the job has no robots.txt yet: begin it with initial_tasks()"
        return Outcome.skipped("robots", detail={"message": message})
    return Outcome.skipped("robots")


def _record(visit: _Visit, answer: Response, **detail: Any) -> dict[str, Any]:
    """Return what every outcome with an answer keeps; empty details are left away."""
    kept = {name: value for name, value in detail.items() if value}
    return {
        "http_status": answer.status,
        "bytes": answer.bytes_received,
        "cache": cache_verdict.classify(answer.headers),
        "latency_delay_ms": visit.latency_delay_ms(answer.timings),
        "detail": {
            "kind": visit.kind,
            "timings": answer.timings.as_dict(),
            "content_type": _clean(_media_type(answer.headers)),
            **({"truncated": True} if answer.truncated else {}),
            **kept,
        },
    }


def _is_success(status: int, _headers: Headers) -> bool:
    return 200 <= status < 300


def _media_type(headers: Headers) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _clean(text: str) -> str:
    """Return `text` as PostgreSQL's jsonb takes it: no NUL, no lone surrogates, bounded."""
    return text[:_MAX_TEXT_CHARS].replace("\x00", "").encode("utf-8", "replace").decode()
