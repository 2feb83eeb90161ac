"""From URLs found to tasks: which become tasks of the job, and with what priority.

Owns the filter every discovered URL passes (same site, traps, patterns, robots) and counts what
it keeps out, so that nothing is left out silently. Also owns the payload of a task:

    {"kind": "robots" | "sitemap" | "page",
     "depth": int,           links (or index levels) from the start
     "via": [key, ...],      the redirect hops so far, absent without any
     "from": int,            id of the task that found it, absent for the start
     "source": str,          start, robots, guess, sitemap, expiring, redirect, refresh, host, refetch,
                             or a link's position
     "authority": str,       whose robots.txt it is, absent for the job's domain
     "since": int,           which robots.txt this one replaces, by the time it was fetched
     "start": true}          on a start URL and what it redirects to

Priorities (design section 6): start pages 1.0, the header's links of a start page 1.0, its
footer's 0.99, other links 0.9 of the page they stand on, sitemap entries as given there. Pages that
a schedule's job before has left (`EXPIRING_DOCUMENT`): between 2.0 and 1.0, the higher the sooner
their cached copies expire; their links count as those of a start page at most, or they would raise
one another.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from pacewheel.crawl import urls
from pacewheel.crawl.traps import trap_reason
from pacewheel.errors import TargetRefused
from pacewheel.model import NewTask, Task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pacewheel.crawl.links import Link
    from pacewheel.crawl.options import WarmOptions
    from pacewheel.crawl.query_counts import QueryCounts
    from pacewheel.crawl.robots import RobotsRules
    from pacewheel.crawl.sitemap_found import SitemapEntry
    from pacewheel.crawl.urls import Url

ROBOTS_PRIORITY = 2.0
"""Of a robots.txt that others wait for: nothing of its job goes before it."""

EXPIRING_DOCUMENT = "expiring"
"""Name of the job's document that lists [target, depth, priority] of pages, as JSON, if there is one."""

START_PRIORITY = 1.0
HEADER_PRIORITY = 1.0
FOOTER_PRIORITY = 0.99
LINK_FACTOR = 0.9
ENTRY_PRIORITY = 0.1
"""Of a page that a sitemap lists without a priority."""

_TURN_S = 0.002
"""How long URLs are looked at before other work of the loop gets its turn."""


class Discovery:
    """Collects the tasks that one task of a site discovers."""

    def __init__(self, task: Task, options: WarmOptions, rules: RobotsRules) -> None:
        """Filter for `task`'s site by the job's `options` and the site's `rules`."""
        self.tasks: list[NewTask] = []
        self.left_out: Counter[str] = Counter()
        self.links: dict[str, list[str]] = {}
        """Keys of all pages of the site that were named, by source, each once, for the report."""
        self.robots_lines: Counter[int] = Counter()
        """How many pages each line of robots.txt has kept out."""
        self._task = task
        self._options = options
        self._rules = rules
        own = urls.parse(task.target)
        self._ruled = ruled_authority(task, own)
        # A page that leads to itself leads nowhere.
        self._keys = {options.folded(own.key)}
        self._noted = set(self._keys)
        self._queries: QueryCounts | None = None

    def count_queries(self, counts: QueryCounts) -> None:
        """Keep out what comes from now on of paths that have had their number of queries."""
        self._queries = counts

    async def add_links(self, links: Iterable[Link], depth: int, *, is_start_page: bool) -> None:
        """Add the links of a page at `depth`."""
        turn = _Turn()
        for link in links:
            if turn.is_over():
                await turn.give_way()
            if link.is_nofollow:
                self.left_out["nofollow"] += 1
                self.note_links((link,))
                continue
            priority = self._link_priority()
            if is_start_page and link.region == "header":
                priority = HEADER_PRIORITY
            elif is_start_page and link.region == "footer":
                priority = FOOTER_PRIORITY
            self.add_page(link.url, priority, depth + 1, link.position)

    def add_refresh(self, url: Url, depth: int) -> None:
        """Add the page that a meta refresh on a page at `depth` leads to, as one of its links."""
        self.add_page(url, self._link_priority(), depth + 1, "refresh")

    async def add_entries(self, entries: Iterable[SitemapEntry], base: str) -> None:
        """Add the pages of a sitemap that was read from `base`."""
        turn = _Turn()
        for entry in entries:
            if turn.is_over():
                await turn.give_way()
            url = self._parsed(entry.loc, base)
            if url is not None:
                priority = ENTRY_PRIORITY if entry.priority is None else entry.priority
                self.add_page(url, priority, 0, "sitemap")

    async def add_expiring(self, document: str | None) -> None:
        """Add the pages that the job before has left, if it has."""
        turn = _Turn()
        for target, depth, priority in json.loads(document or "[]"):
            if turn.is_over():
                await turn.give_way()
            url = self._parsed(target, self._task.target)
            if url is not None:
                self.add_page(url, START_PRIORITY + priority, depth, "expiring")

    def add_page(self, url: Url, priority: float, depth: int, source: str) -> None:
        """Add one page, unless a filter keeps it out."""
        reason = self._reason_against(url)
        key = self._options.folded(url.key)
        if reason != "other_site":
            self._note(key, source)
        if reason is None and key not in self._keys:
            self._keys.add(key)
            if self._queries is not None and not self._queries.takes(key):
                reason = "trap_queries"
            else:
                task = page_task(url, key, priority, depth, source, found_by=self._task.id)
                self.tasks.append(task)
        if reason is not None:
            self.left_out[reason] += 1

    def note_links(self, links: Iterable[Link]) -> None:
        """Note links that are not followed: they are links all the same."""
        for link in links:
            if self._options.is_of_site(link.url, self._task.domain):
                self._note(self._options.folded(link.url.key), link.position)

    def _note(self, key: str, source: str) -> None:
        if self._options.record_links and key not in self._noted:
            self._noted.add(key)
            self.links.setdefault(source, []).append(key)

    def add_sitemap(self, loc: str, base: str, depth: int, source: str) -> None:
        """Add one sitemap file of the site."""
        url = self._parsed(loc, base)
        if url is None:
            return
        if not self._options.is_of_site(url, self._task.domain):
            self.left_out["other_site"] += 1
        elif url.key not in self._keys:
            self._keys.add(url.key)
            self.tasks.append(
                NewTask(
                    url.href,
                    key=f"sitemap {url.key}",
                    priority=START_PRIORITY,
                    payload={
                        "kind": "sitemap",
                        "depth": depth,
                        "from": self._task.id,
                        "source": source,
                    },
                )
            )

    def take(self) -> list[NewTask]:
        """Return the tasks collected since the last call."""
        taken, self.tasks = self.tasks, []
        return taken

    def _link_priority(self) -> float:
        return min(self._task.priority, START_PRIORITY) * LINK_FACTOR

    def _reason_against(self, url: Url) -> str | None:
        authority = url.authority
        if authority != self._task.domain and not self._options.is_of_site(url, self._task.domain):
            return "other_site"
        trap = trap_reason(url)
        if trap is not None:
            return f"trap_{trap}"
        if not self._options.selects(url):
            return "pattern"
        # Another host's robots.txt may not be known yet: its pages are checked when they are fetched.
        rule = self._rules.decide(url.target) if authority == self._ruled else None
        if rule is not None and not rule.is_allow:
            self.robots_lines[rule.line] += 1
            return "robots"
        return None

    def _parsed(self, loc: str, base: str) -> Url | None:
        try:
            return urls.parse(loc, base)
        except TargetRefused:
            self.left_out["unusable"] += 1
            return None


class _Turn:
    """Shares the loop by time, not by number: a hostile robots.txt makes a URL cost milliseconds."""

    def __init__(self) -> None:
        self._ends_s = time.perf_counter() + _TURN_S

    def is_over(self) -> bool:
        """True when others should run."""
        return time.perf_counter() >= self._ends_s

    async def give_way(self) -> None:
        """Let others run, and begin another turn."""
        await asyncio.sleep(0)
        self._ends_s = time.perf_counter() + _TURN_S


def initial_tasks(start_urls: Iterable[str], options: dict[str, Any]) -> list[NewTask]:
    """Return the tasks a warm job begins with: its robots.txt, whose outcome discovers all else.

    `options` are the job's; its `start` must hold `start_urls`, since the robots task reads them
    there.

    Raises:
        TargetRefused: a start URL can't be requested, there is none, or `start` doesn't hold it.
    """
    parsed = [urls.parse(url) for url in start_urls]
    if not parsed:
        raise TargetRefused("a warm job needs a start URL: give one such as https://example.com/")
    missing = {url.key for url in parsed} - {urls.key(url) for url in options.get("start", ())}
    if missing:
        raise TargetRefused(f"start URL {min(missing)!r} is not in the job's option start: add it")
    robots = urls.parse("/robots.txt", parsed[0].href)
    return [
        NewTask(
            robots.href,
            key=f"robots {robots.key}",
            priority=START_PRIORITY,
            payload={"kind": "robots", "depth": 0, "source": "start"},
        )
    ]


def ruled_authority(task: Task, url: Url) -> str:
    """Return whose robots.txt `task` fetches, or is subject to; `url` is its target."""
    payload = task.payload or {}
    if payload.get("kind") == "robots":
        return str(payload.get("authority", task.domain))
    return url.authority


def robots_task(task: Task, url: Url, fetched_at_s: int | None) -> NewTask:
    """Return the task that fetches the robots.txt `url` is subject to, the same whoever asks for it.

    None: the first one of a further host. Otherwise it replaces the one fetched at `fetched_at_s`
    (0: there is none), and discovers nothing.
    """
    robots = urls.parse("/robots.txt", url.href)
    since = "" if fetched_at_s is None else f"since {fetched_at_s} "
    source = "host" if fetched_at_s is None else "refetch"
    payload: dict[str, Any] = {"kind": "robots", "depth": 0, "source": source}
    if fetched_at_s is not None:
        payload["since"] = fetched_at_s
    if url.authority != task.domain:
        payload["authority"] = url.authority
    return NewTask(
        robots.href,
        key=f"robots {since}{robots.key}",
        priority=ROBOTS_PRIORITY,
        payload=payload,
    )


def page_task(
    url: Url, key: str, priority: float, depth: int, source: str, *, found_by: int | None
) -> NewTask:
    """Return the task that fetches the page `url` (requested as found, unique by `key`)."""
    payload: dict[str, Any] = {"kind": "page", "depth": depth, "source": source}
    if found_by is not None:
        payload["from"] = found_by
    if source == "start":
        payload["start"] = True
    return NewTask(url.href.partition("#")[0], key=key, priority=priority, payload=payload)


def redirect_task(task: Task, options: WarmOptions, url: Url, via: list[str]) -> NewTask:
    """Return the task for the next hop of `task`; `via` are the keys so far, its own included.

    A hop of a robots or sitemap request keeps its kind, and counts its hops in the key: were it
    merged with an earlier request to the same URL, the chain would end without anybody noticing.
    So does the hop of a page to what the job takes for the same page, say without its tracking
    parameters.
    """
    payload = {**(task.payload or {}), "via": via, "from": task.id}
    kind = payload.get("kind", "page")
    key = options.folded(url.key)
    if kind == "page":
        payload["source"] = "redirect"
    if kind != "page" or key in map(options.folded, via):
        since = f" since {payload['since']}" if "since" in payload else ""
        key = f"{kind}{since} {len(via)} {url.key}"
    return NewTask(url.href.partition("#")[0], key=key, priority=task.priority, payload=payload)
