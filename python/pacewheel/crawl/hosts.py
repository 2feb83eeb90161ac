"""The hosts of one site: each has a robots.txt of its own, all share the job's pace.

A job has one domain, and with its options `subdomains` and `www` its pages may stand on other hosts
too. Those are paced by the job's domain, whose gap is the longest Crawl-delay that any of them asks
for; another job that begins at such a host has a pace of its own.

Owns the list of a job's further hosts with their Crawl-delays, at most 100 hosts, since a site may
have a name for every visitor. It is kept as a document of the job; what this process adds it also
remembers, because the robots.txt of two hosts may be under way at once.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pacewheel.model import Task

HOSTS_DOCUMENT = "hosts"
"""Name of the job's document that holds the list."""

MAX_HOSTS = 100

_MAX_JOBS = 1_024


def robots_document(authority: str, domain: str) -> str:
    """Return the name of the job's document that holds the robots.txt of `authority`."""
    return "robots" if authority == domain else f"robots {authority}"


class HostDelays:
    """Crawl-delays in milliseconds (0: none asked for) by the authorities of each job's hosts."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._added: OrderedDict[int, dict[str, int]] = OrderedDict()

    async def read(self, task: Task) -> dict[str, int]:
        """Return the delays of the job's hosts whose robots.txt has been answered."""
        text = await task.document(HOSTS_DOCUMENT)
        return {**json.loads(text or "{}"), **self._added.get(task.job_id, {})}

    async def add(self, task: Task, authority: str, delay_ms: int) -> dict[str, int]:
        """Add one host, or its new delay; return all of them, to be kept as the document."""
        self._added.setdefault(task.job_id, {})[authority] = delay_ms
        self._added.move_to_end(task.job_id)
        while len(self._added) > _MAX_JOBS:
            self._added.popitem(last=False)
        return await self.read(task)
