"""What is kept of where pages lead, for the report: keys of the site's pages, in a list a position.

A key that never becomes a task does no harm: nothing in the report asks for it. Links that are not
followed (nofollow, robots, patterns) are kept too, for they are links all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.crawl import urls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pacewheel.crawl.links import Link
    from pacewheel.model import NewTask, Task

SITEMAP = "sitemap"
"""Name of the lists of what sitemaps list; other names are positions of links."""

REDIRECT = "redirect"
"""Name of the list that holds where a page redirects to."""


def linked_keys(links: Iterable[Link], task: Task, page_key: str) -> dict[str, Sequence[str]]:
    """Return the keys that the page of `task` links to, by position; itself and other sites not."""
    found: dict[str, list[str]] = {}
    for link in links:
        if urls.same_site(link.url, task.domain) and link.url.key != page_key:
            found.setdefault(link.position, []).append(link.url.key)
    return dict(found)


def listed_keys(tasks: Iterable[NewTask]) -> dict[str, Sequence[str]]:
    """Return the keys of the pages that a sitemap lists, of those that were taken."""
    keys = [
        task.key or task.target
        for task in tasks
        if task.payload is not None and task.payload.get("kind") == "page"
    ]
    return {SITEMAP: keys} if keys else {}
