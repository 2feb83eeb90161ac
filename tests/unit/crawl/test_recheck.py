"""Rechecks: made where they may help, limited for page and job, and no failures of pages."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from pacewheel.crawl import recheck
from pacewheel.crawl.client import FetchFailed, Response
from pacewheel.crawl.robots import RobotsFile
from pacewheel.crawl.transport import Timings
from pacewheel.crawl.warm import WarmHandler, validate_options
from pacewheel.model import NewTask, Outcome, OutcomeKind, Task

HOME = "https://example.com/"
MISS = {"CF-Cache-Status": "MISS", "Cache-Control": "max-age=60"}
HIT = {"CF-Cache-Status": "HIT", "Age": "3", "Cache-Control": "max-age=60"}


def answer(headers: dict[str, str], status: int = 200, first_byte_ms: float = 90.0) -> Response:
    """An answer without a body."""
    fields = CIMultiDictProxy(CIMultiDict(headers))
    return Response(status, fields, b"", 0, 0, False, Timings(first_byte_ms=first_byte_ms))


class Site:
    """A warm job of one site in memory: its documents, and answers in the order of requests."""

    def __init__(self, *answers: Response | Exception, **options: Any) -> None:
        self.answers = list(answers)
        rules = RobotsFile("User-agent: *\nDisallow: /private", int(time.time())).as_document()
        self.documents: dict[str, str] = {"robots": rules}
        self.options = validate_options({"start": [HOME], "links": False, **options})
        self.handler = WarmHandler(cast("Any", self))
        self.fetched: list[str] = []

    async def fetch(self, url: Any, **how: Any) -> Response:
        """Stand in for GuardedClient.fetch."""
        await how["depart"]()
        self.fetched.append(url.href)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    async def depart(self) -> None:
        """The gate is open."""

    async def document(self, _job_id: int, name: str) -> str | None:
        """What an earlier task left."""
        return self.documents.get(name)

    async def job(self, _job_id: int) -> None:
        """Nothing is known."""

    async def run(self, new: NewTask | str, task_id: int = 7) -> Outcome:
        """Run a task, a page's by its URL; keep its documents as a settle does."""
        if isinstance(new, str):
            new = NewTask(new, priority=0.5, payload={"kind": "page"})
        task = Task(
            task_id, 1, 1, "example.com", "warm", new.target, new.priority, 1, new.payload,
            self.options, lease=self,
        )  # fmt: skip
        outcome = await self.handler(task)
        self.documents.update(outcome.documents)
        return outcome


async def test_a_miss_is_asked_for_again_and_found_warm() -> None:
    """A task beyond the limit, ahead of its page's peers; cold and warm stand in one result."""
    site = Site(answer(MISS), answer(HIT, first_byte_ms=4.0))
    first = await site.run(HOME + "a")
    (again,) = first.discovered
    assert (HOME + "a", f"recheck 1 {HOME}a", True) == (again.target, again.key, again.beyond_limit)
    assert 0.5 < again.priority < 0.6
    assert again.ready_in_s is None

    found = await site.run(again)
    assert (OutcomeKind.COMPLETED, "hit", ()) == (found.kind, found.cache, found.discovered)
    assert found.detail is not None
    assert {"cache": "miss", "timings": {"first_byte": 90.0}} == found.detail["cold"]
    assert {"first_byte": 4.0} == found.detail["timings"]
    assert ("recheck", True, 3, 57) == (
        *(found.detail["kind"], found.detail["warmed"]),
        *(found.detail["age_s"], found.detail["ttl_s"]),
    )
    assert 7 == (again.payload or {})["from"]


@pytest.mark.parametrize(
    ("headers", "status", "cause"),
    [
        (HIT, 200, None),
        ({"CF-Cache-Status": "REVALIDATED"}, 200, None),
        ({"CF-Cache-Status": "BYPASS"}, 200, "bypass"),
        ({"CF-Cache-Status": "DYNAMIC"}, 200, "dynamic"),
        ({"CF-Cache-Status": "MISS", "Cache-Control": "no-store"}, 200, "no-store"),
        ({"X-Cache": "MISS", "Set-Cookie": "a=b"}, 200, "set-cookie"),
        ({}, 200, None),
        (MISS, 404, None),
        (MISS, 301, None),
    ],
)
async def test_what_no_recheck_can_help_gets_none(
    headers: dict[str, str], status: int, cause: str | None
) -> None:
    """It is warm already, never will be, says nothing, or is no page; the cause is kept."""
    outcome = await Site(answer(headers, status)).run(HOME)
    assert () == tuple(outcome.discovered)
    assert outcome.detail is not None
    assert cause == outcome.detail.get("uncacheable")
    assert "recheck" not in outcome.detail


async def test_a_stale_copy_gets_a_moment_to_be_replaced() -> None:
    """An expired one was replaced at once."""
    stale, expired = ({"CF-Cache-Status": word} for word in ("UPDATING", "EXPIRED"))
    (after_stale,) = (await Site(answer(stale)).run(HOME)).discovered
    (after_expired,) = (await Site(answer(expired)).run(HOME)).discovered
    assert (recheck.STALE_DELAY_S, None) == (after_stale.ready_in_s, after_expired.ready_in_s)


async def test_a_page_is_asked_for_again_as_often_as_the_option_says() -> None:
    """Each one keeps the first request's time; the page's task is named by all."""
    site = Site(*[answer(MISS)] * 4, rechecks=3)
    task: NewTask | str = HOME
    keys = []
    while (outcome := await site.run(task, task_id=len(keys) + 20)).discovered:
        (task,) = outcome.discovered
        assert 20 == (task.payload or {})["from"]
        keys.append(task.key)
    assert [f"recheck {number} {HOME}" for number in (1, 2, 3)] == keys
    assert 4 == len(site.fetched)
    assert () == (await Site(answer(MISS), rechecks=0).run(HOME)).discovered


async def test_a_job_stops_at_its_limit_whoever_runs_it() -> None:
    """The tally is a document of the job, committed with the tasks it counts."""
    site = Site(*[answer(MISS)] * 9, rechecks_max=5)
    made = [len((await site.run(f"{HOME}{page}")).discovered) for page in range(3)]
    site.handler = WarmHandler(cast("Any", site))
    outcomes = [await site.run(f"{HOME}{page}") for page in range(3, 9)]
    made += [len(outcome.discovered) for outcome in outcomes]
    assert [1] * 5 + [0] * 4 == made
    assert "limit" == (outcomes[-1].detail or {})["recheck"]
    assert {} == outcomes[-1].documents


async def test_a_cache_that_keeps_nothing_is_not_asked_again_and_again() -> None:
    """After twenty in vain a job stops; where one in ten becomes warm it goes on."""
    for warm_of_ten, goes_on in ((0, False), (1, True)):
        site = Site()
        for page in range(40):
            is_warm = page % 10 < warm_of_ten
            site.answers = [answer(MISS), answer(HIT if is_warm else MISS)]
            outcome = await site.run(f"{HOME}{page}")
            for again in outcome.discovered:
                await site.run(again)
        assert (80 if goes_on else 60) == len(site.fetched)
        assert (None if goes_on else "useless") == (outcome.detail or {}).get("recheck")


@pytest.mark.parametrize(
    ("given", "error", "block_s"),
    [
        (answer({"Retry-After": "30"}, 429), "blocked", 30.0),
        (answer({}, 500), "http_5xx", None),
        (answer({}, 404), "http_4xx", None),
        (FetchFailed("timeout", "timed out", is_transient=True), "timeout", None),
        (FetchFailed("tls", "bad certificate", is_transient=False), "tls", None),
    ],
)
async def test_a_recheck_that_fails_is_skipped(
    given: Response | Exception, error: str, block_s: float | None
) -> None:
    """Its page was fetched; what a refusal asks of the domain is done all the same."""
    site = Site(answer(MISS), given)
    (again,) = (await site.run(HOME)).discovered
    outcome = await site.run(again)
    assert (OutcomeKind.SKIPPED, error) == (outcome.kind, outcome.error)
    assert (block_s, None) == (outcome.block_domain_s, outcome.retry_in_s)


async def test_robots_rules_bind_rechecks() -> None:
    """Nothing is sent."""
    site = Site(answer(HIT))
    payload = {"kind": "recheck", "number": 1, "from": 1, "cold": {}}
    outcome = await site.run(NewTask(HOME + "private", payload=payload))
    assert (OutcomeKind.SKIPPED, "robots", []) == (outcome.kind, outcome.error, site.fetched)
