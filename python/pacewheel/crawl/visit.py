"""One task of a warm job, with its payload and options read: what it is, and what it wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacewheel.crawl.discovery import ruled_authority

if TYPE_CHECKING:
    from pacewheel.crawl.client import Headers
    from pacewheel.crawl.options import WarmOptions
    from pacewheel.crawl.transport import Timings
    from pacewheel.crawl.urls import Url
    from pacewheel.model import Task

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})


class Visit:
    """One task with its payload and options read."""

    __slots__ = ("depth", "is_start", "kind", "options", "payload", "ruled", "task", "url", "via")

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
        self.ruled = ruled_authority(task, url)

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
        return self.follows_links and 200 <= status < 300 and media_type(headers) in _HTML_TYPES


def media_type(headers: Headers) -> str:
    """Return the type that a Content-Type header names, without parameters."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()
