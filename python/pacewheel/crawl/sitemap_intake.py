"""From a sitemap's bytes to tasks, while they arrive.

Owns the way of what a sitemap file lists into its job: some hundreds of pages at a time are added
to the job while the rest of the file is still being read, so the first of them may be fetched
meanwhile, and the reading ends where the job takes no more. If the attempt fails, the next one
offers the same keys again; the job takes each once.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pacewheel.crawl.sitemap import MAX_INDEX_DEPTH, SitemapParser

if TYPE_CHECKING:
    from pacewheel.crawl.discovery import Discovery
    from pacewheel.crawl.sitemap_found import Sitemap
    from pacewheel.model import Task

BATCH_TASKS = 500
_BATCH_S = 1.0
"""How long a page waits for others to be added with; a slow file has its first ones soon, too."""

_SLICE_BYTES = 4096
"""How much is parsed before other work of the loop gets its turn; packed, it may be 300 times that."""


class SitemapIntake:
    """Takes the bytes of one sitemap file read from `url`, `depth` indexes deep."""

    def __init__(self, task: Task, discovery: Discovery, url: str, depth: int) -> None:
        self._task = task
        self._discovery = discovery
        self._url = url
        self._depth = depth
        self._parser = SitemapParser()
        self._added_s = time.monotonic()

    async def feed(self, data: bytes) -> bool:
        """Take the next piece; returns False when no more is wanted.

        Raises:
            StoreError: tasks could not be added.
        """
        for start in range(0, len(data), _SLICE_BYTES):
            if not self._parser.feed(data[start : start + _SLICE_BYTES]):
                break
            await self._discover()
            waiting = len(self._discovery.tasks)
            is_late = waiting > 0 and time.monotonic() - self._added_s >= _BATCH_S
            if waiting >= BATCH_TASKS or is_late:
                await self._add()
            await asyncio.sleep(0)
        return self._parser.is_open

    async def close(self) -> Sitemap:
        """Return what the file was, with its warnings, when all it lists has been added.

        Raises:
            StoreError: tasks could not be added.
        """
        found = self._parser.close()
        await self._discover()
        if self._discovery.tasks:
            await self._add()
        return found

    async def _add(self) -> None:
        added = await self._task.enqueue(self._discovery.take())
        self._added_s = time.monotonic()
        if left_out := added.over_limit + added.refused:
            self._discovery.left_out["job_full"] += left_out
            self._parser.stop("the job takes no more tasks: the rest is left out")

    async def _discover(self) -> None:
        pages, sitemaps = self._parser.take()
        await self._discovery.add_entries(pages, self._url)
        if sitemaps and self._depth >= MAX_INDEX_DEPTH:
            self._discovery.left_out["too_deep"] += len(sitemaps)
            return
        for loc in sitemaps:
            self._discovery.add_sitemap(loc, self._url, self._depth + 1, "sitemap")
