"""Whether a site lets a task fetch its target now, by the robots.txt that its target is subject to.

Owns the job's documents that hold robots.txt files, one of each host, and what becomes of a task
that may not go on: skipped where a line disallows it, otherwise it waits, and the task that fetches
the file is discovered.

Keeps no state but what fills itself: files and their parsed rules, and what `hosts` keeps. Only the
owner of a job's domain writes its documents, so a file is good for one lease.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from pacewheel.crawl.discovery import robots_task
from pacewheel.crawl.hosts import HOSTS_DOCUMENT, MAX_HOSTS, HostDelays, robots_document
from pacewheel.crawl.retry_after import backoff_s
from pacewheel.crawl.robots import RobotsFile, RobotsRules, RulesCache
from pacewheel.model import Lease, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from pacewheel.crawl.options import WarmOptions
    from pacewheel.crawl.urls import Url

# How long a task waits for a robots.txt that is being fetched again.
_REFETCH_S = 10.0
# For one that was never fetched, doubled by each attempt: longer in all than that is tried.
_FETCH_BASE_S = 3.0


# Most files are much shorter; longer ones are read for each page.
_KEPT_CHARS = 16 * 1024
_KEPT_FILES = 1_024
# Stands for a robots.txt that will not be tried again.
_UNREACHABLE = ""


class Subject(Protocol):
    """What is asked of a task: `ruled` is the authority whose robots.txt it is subject to."""

    task: Task
    url: Url
    options: WarmOptions
    kind: str
    ruled: str


class Permission:
    """Reads and keeps the robots.txt of each job's hosts."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """`now_s` is the Unix time."""
        self._now_s = now_s
        self._parsed = RulesCache()
        self._files: OrderedDict[tuple[int, str], tuple[Lease | None, RobotsFile]] = OrderedDict()
        self._delays = HostDelays()

    def parsed(self, text: str, user_agent: str) -> RobotsRules:
        """Return what `text` says to `user_agent`."""
        return self._parsed.rules(text, user_agent)

    async def rules(self, subject: Subject) -> RobotsRules | Outcome:
        """Return the rules that permit the task, else what becomes of it."""
        task = subject.task
        file = self._file_here(subject)
        if file is not None:
            return self._decided(subject, file)
        document = await task.document(robots_document(subject.ruled, task.domain))
        if document is None and subject.ruled != task.domain:
            return await self._at_new_host(subject)
        if document == _UNREACHABLE:
            message = f"the robots.txt of {subject.ruled} can't be had, so nothing of it is fetched"
            return Outcome.skipped("robots_unknown", detail={"message": message})
        # A job that runs failed tasks of another one again begins without the document.
        file = RobotsFile("", 0) if document is None else RobotsFile.of_document(document)
        if file.is_expired(self._now_s()):
            first = robots_task(task, subject.url, file.fetched_at_s)
            detail = {"message": "robots.txt is missing or older than a day: fetching it first"}
            return Outcome.retry("robots_expired", _REFETCH_S, detail=detail, discovered=[first])
        self._keep(subject, file)
        return self._decided(subject, file)

    async def answered(
        self, subject: Subject, text: str, rules: RobotsRules
    ) -> tuple[dict[str, str], int]:
        """Return the documents to keep of a robots.txt, and the Crawl-delay of the whole site."""
        task = subject.task
        file = RobotsFile(text, int(self._now_s()))
        self._keep(subject, file)
        documents = {robots_document(subject.ruled, task.domain): file.as_document()}
        # A delay that the file no longer asks for ends with it.
        delay_ms = round((rules.crawl_delay_s or 0.0) * 1000)
        if subject.options.has_hosts:
            delays = await self._delays.add(task, subject.ruled, delay_ms)
            documents[HOSTS_DOCUMENT] = json.dumps(delays)
            delay_ms = max(delays.values())
        return documents, delay_ms

    def unreachable(self, subject: Subject) -> dict[str, str]:
        """Return the document to keep of a robots.txt that will not be tried again.

        All is disallowed then (RFC 9309 section 2.3.1.4).
        """
        return {robots_document(subject.ruled, subject.task.domain): _UNREACHABLE}

    def _decided(self, subject: Subject, file: RobotsFile) -> RobotsRules | Outcome:
        rules = self.parsed(file.text, subject.options.user_agent)
        rule = rules.decide(subject.url.target)
        if rule is not None and not rule.is_allow:
            return Outcome.skipped("robots", detail={"kind": subject.kind, "line": rule.line})
        return rules

    def _file_here(self, subject: Subject) -> RobotsFile | None:
        lease, file = self._files.get((subject.task.job_id, subject.ruled), (None, None))
        if file is None or lease is not subject.task.lease or file.is_expired(self._now_s()):
            return None
        return file

    def _keep(self, subject: Subject, file: RobotsFile) -> None:
        place = (subject.task.job_id, subject.ruled)
        self._files.pop(place, None)
        if len(file.text) <= _KEPT_CHARS:
            self._files[place] = (subject.task.lease, file)
        while len(self._files) > _KEPT_FILES:
            self._files.popitem(last=False)

    async def _at_new_host(self, subject: Subject) -> Outcome:
        task = subject.task
        if len(await self._delays.read(task)) >= MAX_HOSTS:
            message = f"the site has more than {MAX_HOSTS} hosts: begin a job at this one"
            return Outcome.skipped("too_many_hosts", detail={"message": message})
        return Outcome.retry(
            "robots_unknown",
            backoff_s(task.attempt, _FETCH_BASE_S),
            detail={"message": f"waiting for the robots.txt of {subject.ruled}"},
            discovered=[robots_task(task, subject.url, None)],
        )
