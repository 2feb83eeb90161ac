"""From URLs found to tasks: which become tasks of the job, and with what priority.

Owns the filter every discovered URL passes (same site, traps, patterns, robots) and counts what
it keeps out, so that nothing is left out silently. Also owns the payload of a task:

    {"kind": "robots" | "sitemap" | "page",
     "depth": int,           links (or index levels) from the start
     "via": [key, ...],      the redirect hops so far, absent without any
     "from": int,            id of the task that found it, absent for the start
     "source": str,          start, robots, guess, sitemap, redirect, or a link's position
     "start": true}          on a start URL and what it redirects to

Priorities (design section 6): start pages 1.0, the header's links of a start page 1.0, its
footer's 0.99, other links 0.9 of the page they stand on, sitemap entries as given there.
"""

from __future__ import annotations

import asyncio
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
    from pacewheel.crawl.robots import RobotsRules
    from pacewheel.crawl.sitemap import SitemapEntry
    from pacewheel.crawl.urls import Url

START_PRIORITY = 1.0
HEADER_PRIORITY = 1.0
FOOTER_PRIORITY = 0.99
LINK_FACTOR = 0.9

_SLICE = 200
"""URLs looked at before other work of the loop gets its turn (about 2 ms)."""


class Discovery:
    """Collects the tasks that one task of a site discovers."""

    def __init__(self, task: Task, options: WarmOptions, rules: RobotsRules) -> None:
        """Filter for `task`'s site by the job's `options` and the site's `rules`."""
        self.tasks: list[NewTask] = []
        self.left_out: Counter[str] = Counter()
        self.links: dict[str, list[str]] = {}
        """Keys of all pages of the site that were named, by source, each once, for the report."""
        self._task = task
        self._options = options
        self._rules = rules
        self._keys: set[str] = set()
        self._noted = {urls.key(task.target)}

    async def add_links(self, links: Iterable[Link], depth: int, *, is_start_page: bool) -> None:
        """Add the links of a page at `depth`."""
        for number, link in enumerate(links, 1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            if link.is_nofollow:
                self.left_out["nofollow"] += 1
                self.note_links((link,))
                continue
            priority = self._task.priority * LINK_FACTOR
            if is_start_page and link.region == "header":
                priority = HEADER_PRIORITY
            elif is_start_page and link.region == "footer":
                priority = FOOTER_PRIORITY
            self.add_page(link.url, priority, depth + 1, link.position)

    async def add_entries(self, entries: Iterable[SitemapEntry], base: str) -> None:
        """Add the pages of a sitemap that was read from `base`."""
        for number, entry in enumerate(entries, 1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            url = self._parsed(entry.loc, base)
            if url is not None:
                self.add_page(url, entry.priority, 0, "sitemap")

    def add_page(self, url: Url, priority: float, depth: int, source: str) -> None:
        """Add one page, unless a filter keeps it out."""
        reason = self._reason_against(url)
        if reason != "other_site":
            self._note(url, source)
        if reason is not None:
            self.left_out[reason] += 1
        elif (key := url.key) not in self._keys:
            self._keys.add(key)
            self.tasks.append(page_task(url, priority, depth, source, found_by=self._task.id))

    def note_links(self, links: Iterable[Link]) -> None:
        """Note links that are not followed: they are links all the same."""
        for link in links:
            if urls.same_site(link.url, self._task.domain):
                self._note(link.url, link.position)

    def _note(self, url: Url, source: str) -> None:
        if self._options.record_links and url.key not in self._noted:
            self._noted.add(url.key)
            self.links.setdefault(source, []).append(url.key)

    def add_sitemap(self, loc: str, base: str, depth: int, source: str) -> None:
        """Add one sitemap file of the site."""
        url = self._parsed(loc, base)
        if url is None:
            return
        if not urls.same_site(url, self._task.domain):
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

    def _reason_against(self, url: Url) -> str | None:
        if not urls.same_site(url, self._task.domain):
            return "other_site"
        trap = trap_reason(url)
        if trap is not None:
            return f"trap_{trap}"
        if not self._options.selects(url):
            return "pattern"
        if not self._rules.allowed(url.href, self._options.user_agent):
            return "robots"
        return None

    def _parsed(self, loc: str, base: str) -> Url | None:
        try:
            return urls.parse(loc, base)
        except TargetRefused:
            self.left_out["unusable"] += 1
            return None


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


def page_task(
    url: Url, priority: float, depth: int, source: str, *, found_by: int | None
) -> NewTask:
    """Return the task that fetches the page `url` (requested as found, unique by its key)."""
    payload: dict[str, Any] = {"kind": "page", "depth": depth, "source": source}
    if found_by is not None:
        payload["from"] = found_by
    if source == "start":
        payload["start"] = True
    return NewTask(url.href.partition("#")[0], key=url.key, priority=priority, payload=payload)


def redirect_task(task: Task, url: Url, via: list[str]) -> NewTask:
    """Return the task for the next hop of `task`; `via` are the keys so far, its own included.

    A hop of a robots or sitemap request keeps its kind, and counts its hops in the key: were it
    merged with an earlier request to the same URL, the chain would end without anybody noticing.
    """
    payload = {**(task.payload or {}), "via": via, "from": task.id}
    kind = payload.get("kind", "page")
    if kind == "page":
        payload["source"] = "redirect"
        key = url.key
    else:
        key = f"{kind} {len(via)} {url.key}"
    return NewTask(url.href.partition("#")[0], key=key, priority=task.priority, payload=payload)
