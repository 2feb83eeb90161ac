"""The built-in handler: warms a site, one request a task.

Owns what a task of a warm job does with its answer. Robots.txt, each sitemap file, each redirect
hop and each page are tasks of the job, so every request takes its own slot of the domain's pace;
what a task discovers is returned in its outcome and committed with it, but for what sitemaps list:
that is added while they are read (`sitemap_intake`). Nothing of a site is fetched before its
robots.txt has been answered, and every page is checked against it when discovered and again when
fetched. A robots.txt older than a day is not followed: whoever finds it so, or finds none, waits,
and a task is discovered that fetches it. One that is redirected to another host is followed there,
as a task of this job: the request takes a slot of this domain's pace. Further hosts of the site
(`hosts`) have their own robots.txt: the first page there has it fetched, and waits.

The handler keeps no state but the cache of parsed robots rules, which fills itself, and the counts
of queries of each path and of rechecks, which documents of the job bring back.

| answer            | outcome                                                                   |
| ----------------- | ------------------------------------------------------------------------- |
| 2xx               | completed; robots, sitemap and HTML pages discover tasks                  |
| 304               | completed as `unchanged`, where the request was a conditional one         |
| 3xx with Location | completed; same site (robots.txt: any): next hop discovered (at most 5);  |
|                   | other site: noted                                                         |
| 429, 503          | retry; the domain is blocked as long as Retry-After asks (at most 1 day)  |
| 5xx, network      | retry by the engine's backoff; robots.txt blocks the domain meanwhile     |
| 4xx               | failed; robots.txt: everything is allowed; a guessed sitemap: skipped     |

A page whose miss may become a hit discovers its recheck (`recheck`): a GET like the first, whose
failure is no failure of the page. What results say of caching: `caching`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pacewheel.crawl import cache_verdict, charset, links, recheck, robots, urls
from pacewheel.crawl.caching import caching_detail
from pacewheel.crawl.client import MAX_BODY_BYTES, FetchFailed, GuardedClient, Headers, Response
from pacewheel.crawl.conditional import conditions_of, freshness, known_validators
from pacewheel.crawl.discovery import (
    EXPIRING_DOCUMENT,
    START_PRIORITY,
    Discovery,
    initial_tasks,
    page_task,
    redirect_task,
)
from pacewheel.crawl.options import read, validate_options
from pacewheel.crawl.permission import Permission
from pacewheel.crawl.query_counts import QUERIES_DOCUMENT, QueryCountsCache
from pacewheel.crawl.retry_after import backoff_s, retry_after_s
from pacewheel.crawl.robots import product_token
from pacewheel.crawl.sitemap import MAX_SITEMAP_BYTES
from pacewheel.crawl.sitemap_intake import SitemapIntake
from pacewheel.crawl.visit import Visit, media_type
from pacewheel.errors import TargetRefused
from pacewheel.model import NewTask, Outcome, Task
from pacewheel.pacing import Breaker

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Mapping

    from pacewheel.crawl.urls import Url

__all__ = ["BREAKER", "WarmHandler", "initial_tasks", "validate_options"]

MAX_REDIRECTS = 5

BREAKER = Breaker(
    frozenset({"timeout", "dns", "connect", "tls", "http_5xx", "blocked"}), pause_max_s=120
)
"""What, many times in a row, says that the site is down or refuses us; a 4xx is its page's own.

One request in two minutes is little enough for a site that is down, and ends a job whose last pages
are dead in hours, not in half a day.
"""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BLOCKING = frozenset({429, 503})
_ACCEPT_PAGE = "text/html,application/xhtml+xml,*/*;q=0.8"
_ACCEPT_ROBOTS = "text/plain,*/*;q=0.8"
_ACCEPT_SITEMAP = "application/xml,text/xml,text/plain;q=0.9,*/*;q=0.8"
# Without Retry-After: 10 s, doubled by each attempt, 5 minutes at most.
_BLOCK_BASE_S = 10.0
# robots.txt that fails: 2 s, doubled by each attempt, 5 minutes at most.
_ROBOTS_BASE_S = 2.0
_MAX_TEXT_CHARS = 200
_NO_CONDITIONS: Mapping[str, str] = {}
_MAX_LINES = 20


class WarmHandler:
    """`await handler(task)` makes the task's one request and returns its outcome."""

    def __init__(
        self,
        client: GuardedClient,
        now_s: Callable[[], float] = time.time,
        *,
        body_bytes_max: int = MAX_BODY_BYTES,
    ) -> None:
        """Fetch through `client`, which the caller opens and closes; cut pages after so much.

        `now_s` is the Unix time.
        """
        self._client = client
        self._body_bytes_max = body_bytes_max
        self._rechecks = recheck.Rechecks()
        self._now_s = now_s
        self._permission = Permission(now_s)
        self._queries = QueryCountsCache()
        self._kinds: dict[str, Callable[[Visit], Awaitable[Outcome]]] = {
            "robots": self._robots,
            "sitemap": self._sitemap,
            "page": self._page,
            recheck.KIND: self._recheck,
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
        visit = Visit(task, url, read(task.options))
        try:
            return await self._kinds[visit.kind](visit)
        except FetchFailed as failure:
            outcome = _after_failure(visit, failure)
            if visit.kind == "robots" and not failure.is_transient:
                outcome.documents = self._permission.unreachable(visit)
            return outcome

    async def _robots(self, visit: Visit) -> Outcome:
        answer = await self._fetch(
            visit, accept=_ACCEPT_ROBOTS, max_bytes=robots.MAX_ROBOTS_BYTES, want_body=_is_success
        )
        verdict = "parsed"
        text = ""
        if answer.status in _REDIRECTS:
            outcome = _redirected(visit, answer)
            if outcome.discovered:
                return outcome
            # Loops, dead ends and a sixth redirect leave the site without rules (section 2.3.1.2).
            verdict = "unavailable"
        elif answer.status in _BLOCKING or answer.status >= 500:
            return _after_status(visit, answer)
        elif _is_success(answer.status, answer.headers):
            text = robots.decode(answer.body, truncated=answer.truncated)
        else:
            verdict = "unavailable"
        rules = self._permission.parsed(text, visit.options.user_agent)
        discovery = Discovery(visit.task, visit.options, rules)
        is_first = "since" not in visit.payload
        is_main = visit.ruled == visit.task.domain
        tasks = _start_tasks(visit) if is_first and is_main else []
        if visit.options.sitemap and is_first:
            # Whatever host it came from, the file speaks of the site that was asked first.
            base = visit.via[0] if visit.via else visit.url.href
            for loc in rules.sitemaps:
                discovery.add_sitemap(loc, base, 0, "robots")
            if is_main and not discovery.tasks:
                discovery.add_sitemap("/sitemap.xml", base, 0, "guess")
            if rules.sitemaps_left_out:
                discovery.left_out["too_many_sitemaps"] += rules.sitemaps_left_out
        if is_first and is_main:
            # After the sitemaps: a limit of the job's tasks must not leave those out.
            await discovery.add_expiring(await visit.task.document(EXPIRING_DOCUMENT))
        documents, delay_ms = await self._permission.answered(visit, text, rules)
        return Outcome.completed(
            **_record(visit, answer, robots=verdict, left_out=dict(discovery.left_out)),
            discovered=tasks + discovery.tasks,
            documents=documents,
            robots_delay_ms=delay_ms,
        )

    async def _sitemap(self, visit: Visit) -> Outcome:
        rules = await self._permission.rules(visit)
        if isinstance(rules, Outcome):
            return rules
        discovery = Discovery(visit.task, visit.options, rules)
        intake = SitemapIntake(visit.task, discovery, visit.url.href, visit.depth)
        answer = await self._fetch(
            visit,
            accept=_ACCEPT_SITEMAP,
            # One more than is read, so that a file that is cut is seen to be.
            max_bytes=MAX_SITEMAP_BYTES + 1,
            want_body=_is_success,
            feed=intake.feed,
        )
        if answer.status in _REDIRECTS:
            return _redirected(visit, answer)
        if not _is_success(answer.status, answer.headers):
            is_missing_guess = visit.payload.get("source") == "guess" and answer.status < 500
            if is_missing_guess and answer.status not in _BLOCKING:
                return Outcome.skipped("no_sitemap", **_record(visit, answer))
            return _after_status(visit, answer)
        found = await intake.close()
        record = _record(
            visit,
            answer,
            sitemap=found.kind,
            urls=found.found,
            left_out=dict(discovery.left_out),
            robots_lines=_most(discovery.robots_lines),
            warnings=found.warnings,
        )
        return Outcome.completed(**record, links=discovery.links)

    async def _page(self, visit: Visit) -> Outcome:
        rules = await self._permission.rules(visit)
        if isinstance(rules, Outcome):
            return rules
        known = await known_validators(visit)
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
        again = await self._rechecks.again(visit.task, visit.options, visit.url.key, answer)
        if not answer.body:
            record = _record(visit, answer, recheck=again.refused, **freshness(answer, known))
            return Outcome.completed(**record, discovered=again.tasks, documents=again.documents)
        text = charset.decode_html(answer.body, answer.headers.get("Content-Type", ""))
        page = links.extract(text, visit.url, agent=product_token(visit.options.user_agent))
        for value in answer.headers.getall("X-Robots-Tag", ()):
            page.directives.read_header(value)
        discovery = Discovery(visit.task, visit.options, rules)
        counts = await self._queries.counts(visit.task, visit.options.max_queries)
        if counts is not None:
            discovery.count_queries(counts)
        if page.nofollow:
            discovery.left_out["nofollow"] += len(page.links) + (page.refresh is not None)
            discovery.note_links(page.links)
        else:
            await discovery.add_links(page.links, visit.depth, is_start_page=visit.is_start)
            if page.refresh is not None:
                discovery.add_refresh(page.refresh, visit.depth)
        record = _record(
            visit,
            answer,
            links=len(page.links),
            left_out=dict(discovery.left_out),
            robots_lines=_most(discovery.robots_lines),
            noindex=page.noindex,
            canonical=_other_page(page.canonical, visit.url),
            refresh=_other_page(page.refresh, visit.url),
            cut=page.cut,
            recheck=again.refused,
            **freshness(answer, known),
        )
        noted = None if counts is None else counts.as_document()
        documents = {**again.documents, **({} if noted is None else {QUERIES_DOCUMENT: noted})}
        tasks = [*discovery.tasks, *again.tasks]
        return Outcome.completed(
            **record, discovered=tasks, documents=documents, links=discovery.links
        )

    async def _recheck(self, visit: Visit) -> Outcome:
        rules = await self._permission.rules(visit)
        if isinstance(rules, Outcome):
            return rules
        # The same request as the first one, for a cache may keep a copy for each Accept.
        answer = await self._fetch(
            visit, accept=_ACCEPT_PAGE, max_bytes=self._body_bytes_max, want_body=_nothing_of
        )
        if not _is_success(answer.status, answer.headers):
            return recheck.skipped(_after_status(visit, answer))
        is_warm = cache_verdict.classify(answer.headers).status in recheck.WARM
        self._rechecks.note(visit.task.job_id, is_warm=is_warm)
        again = await self._rechecks.again(visit.task, visit.options, visit.url.key, answer)
        record = _record(visit, answer, cold=visit.payload.get("cold"), warmed=is_warm)
        return Outcome.completed(**record, discovered=again.tasks, documents=again.documents)

    async def _fetch(
        self, visit: Visit, *, conditions: Mapping[str, str] = _NO_CONDITIONS, **how: Any
    ) -> Response:
        return await self._client.fetch(
            visit.url,
            depart=visit.task.depart,
            user_agent=visit.options.user_agent,
            headers={**visit.options.headers_for(visit.url), **conditions},
            **how,
        )


def _start_tasks(visit: Visit) -> list[NewTask]:
    # A start URL that robots.txt disallows becomes a task all the same: it ends as skipped, for
    # all to see.
    tasks = []
    for start in visit.options.start:
        url = urls.parse(start)
        if visit.options.is_of_site(url, visit.task.domain):
            key = visit.options.folded(url.key)
            tasks.append(page_task(url, key, START_PRIORITY, 0, "start", found_by=None))
    return tasks


def _redirected(visit: Visit, answer: Response) -> Outcome:
    location = answer.headers.get("Location")
    if not location:
        return Outcome.completed(**_record(visit, answer, redirect_to=None))
    try:
        target = urls.parse(location, visit.url.href)
    except TargetRefused as refused:
        return Outcome.failed("refused", **_record(visit, answer, message=str(refused)))
    via = [*visit.via, visit.url.key]
    record = _record(visit, answer, redirect_to=target.href)
    if visit.kind != "robots" and not visit.options.is_of_site(target, visit.task.domain):
        record["detail"]["other_site"] = True
        return Outcome.completed(**record)
    if visit.kind == "page" and visit.options.record_links:
        record["links"] = {"redirect": [visit.options.folded(target.key)]}
    if target.key in via or len(via) > MAX_REDIRECTS:
        return Outcome.failed("redirect_loop", **record)
    hop = redirect_task(visit.task, visit.options, target, via)
    return Outcome.completed(**record, discovered=[hop])


def _after_status(visit: Visit, answer: Response) -> Outcome:
    record = _record(visit, answer)
    if answer.status in _BLOCKING:
        asked_s = retry_after_s(answer.headers.get("Retry-After"), datetime.now(UTC))
        wait_s = asked_s if asked_s is not None else backoff_s(visit.task.attempt, _BLOCK_BASE_S)
        return Outcome.retry("blocked", wait_s, block_domain_s=wait_s, **record)
    if answer.status >= 500:
        return _retry(visit, "http_5xx", record)
    return Outcome.failed("http_4xx" if answer.status >= 400 else "protocol", **record)


def _after_failure(visit: Visit, failure: FetchFailed) -> Outcome:
    record: dict[str, Any] = {
        "detail": {"message": _clean(str(failure)), "timings": failure.timings.as_dict()},
        "latency_delay_ms": visit.latency_delay_ms(failure.timings),
    }
    if visit.kind == recheck.KIND:
        return Outcome.skipped(failure.error_class, **record)
    if failure.is_transient:
        return _retry(visit, failure.error_class, record)
    return Outcome.failed(failure.error_class, **record)


def _retry(visit: Visit, error: str, record: dict[str, Any]) -> Outcome:
    if visit.kind != "robots" or visit.ruled != visit.task.domain:
        return Outcome.retry(error, **record)
    # While robots.txt is unreachable, nothing of the site may be fetched, whatever job asks for it.
    wait_s = backoff_s(visit.task.attempt, _ROBOTS_BASE_S)
    return Outcome.retry(error, wait_s, block_domain_s=wait_s, **record)


def _record(visit: Visit, answer: Response, **detail: Any) -> dict[str, Any]:
    """Return what every outcome with an answer keeps; empty details are left away."""
    kept = {name: value for name, value in detail.items() if value}
    verdict = cache_verdict.classify(answer.headers)
    return {
        "http_status": answer.status,
        "bytes": answer.bytes_received,
        "cache": verdict.status,
        "latency_delay_ms": visit.latency_delay_ms(answer.timings),
        "detail": {
            "kind": visit.kind,
            "timings": answer.timings.as_dict(),
            "content_type": _clean(media_type(answer.headers)),
            **({"truncated": True} if answer.truncated else {}),
            **caching_detail(answer.headers, answer.status, verdict, visit.kind),
            **kept,
        },
    }


def _nothing_of(_status: int, _headers: Headers) -> bool:
    return False


def _other_page(url: Url | None, own: Url) -> str | None:
    return None if url is None or url.key == own.key else url.href


def _most(counts: Counter[int]) -> dict[str, int]:
    return {str(line): number for line, number in counts.most_common(_MAX_LINES)}


def _is_success(status: int, _headers: Headers) -> bool:
    return 200 <= status < 300


def _clean(text: str) -> str:
    """Return `text` as PostgreSQL's jsonb takes it: no NUL, no lone surrogates, bounded."""
    return text[:_MAX_TEXT_CHARS].replace("\x00", "").encode("utf-8", "replace").decode()
