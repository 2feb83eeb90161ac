"""A scheduled job fetches what is about to expire first: robots.txt discovers what the job before left."""

from __future__ import annotations

import json
from typing import Any, cast

from pacewheel.crawl.discovery import EXPIRING_DOCUMENT
from pacewheel.crawl.warm import WarmHandler, validate_options
from pacewheel.model import Outcome, Task
from pacewheel.store.schedules import EXPIRING_DOCUMENT as STORED_DOCUMENT
from tests.unit.crawl.test_warm import HOME, FakeLease, ScriptedClient, found, response, run

ROBOTS = "User-agent: *\nDisallow: /private\n"


class ToldLease(FakeLease):
    """A lease whose job has a list of expiring pages too."""

    def __init__(self, expiring: str) -> None:
        super().__init__(None)
        self._expiring = expiring

    async def document(self, job_id: int, name: str) -> str | None:
        """The list, or what the job has besides."""
        if name == EXPIRING_DOCUMENT:
            return self._expiring
        return await super().document(job_id, name)


async def robots_of_a_job_that_was_told(pages: list[Any], **options: Any) -> Outcome:
    """Run the robots task of a job with these expiring pages."""
    client = ScriptedClient(response(body=ROBOTS, content_type="text/plain"))
    task = Task(
        7, 1, 1, "example.com", "warm", HOME + "robots.txt", 1.0, 1, {"kind": "robots"},
        validate_options({"start": [HOME], **options}), lease=ToldLease(json.dumps(pages)),
    )  # fmt: skip
    return await WarmHandler(cast("Any", client))(task)


def test_store_and_handler_mean_the_same_document() -> None:
    """Neither imports the other."""
    assert EXPIRING_DOCUMENT == STORED_DOCUMENT


async def test_pages_that_expire_become_tasks_at_their_old_depth() -> None:
    """Above all that is found, in the order that they were left in, after the start page and the sitemap."""
    outcome = await robots_of_a_job_that_was_told([[HOME + "a", 2, 0.75], [HOME + "b", 1, 0.25]])
    assert {"": 1.0, "sitemap.xml": 1.0, "a": 1.75, "b": 1.25} == found(outcome)
    last = outcome.discovered[-1]
    assert {"kind": "page", "depth": 1, "source": "expiring", "from": 7} == last.payload
    assert "sitemap.xml" == outcome.discovered[1].target.removeprefix(HOME)


async def test_links_of_a_page_that_expires_raise_no_other_such_page() -> None:
    """However high its own priority: they count as those of a start page at most."""
    page = response(body="<main><a href='/b'>b</a></main>")
    outcome, _ = await run(page, target=HOME + "a", priority=1.75)
    assert {"b": 0.9} == found(outcome)


async def test_pages_that_expire_pass_every_filter() -> None:
    """Of robots.txt, of patterns and of the site, as they are today; a target that is none is no crash."""
    pages = [
        [HOME + "private/a", 1, 1.0],
        [HOME + "old.pdf", 1, 1.0],
        ["https://other.example/", 1, 1.0],
        ["mailto:x", 1, 1.0],
        [HOME + "kept", 1, 0.5],
    ]
    outcome = await robots_of_a_job_that_was_told(pages, exclude=["*.pdf"], sitemap=False)
    assert {"": 1.0, "kept": 1.5} == found(outcome)
    assert outcome.detail is not None
    left_out = {"robots": 1, "pattern": 1, "other_site": 1, "unusable": 1}
    assert left_out == outcome.detail["left_out"]
