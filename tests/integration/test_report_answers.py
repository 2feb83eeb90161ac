"""What reports make of answers and details that the crawler seldom sees, or other handlers keep."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Engine, NewTask, Outcome, Task
from pacewheel.cli import export
from pacewheel.errors import ConfigInvalid
from pacewheel.report import as_csv, as_json, html, junit, text
from tests.conftest import execute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pacewheel.engine import Job

    Run = Callable[..., Any]

FORMS = (html, as_json, as_csv, junit, text)
ODD: tuple[Any, ...] = ("word", 1.5, -3, 1e300, True, None, ["list"], {"a": "map"})


@pytest.fixture
async def run(dsn: str) -> AsyncIterator[Run]:
    """Runs a job whose tasks end as they are told, at their first attempt."""
    outcomes: dict[str, Outcome] = {}
    engine = Engine(dsn)

    @engine.handler("any", attempts=1)
    async def end(task: Task) -> Outcome:
        return outcomes[task.target]

    async def run_job(
        told: dict[str, Outcome], payloads: dict[str, Any] | None = None, domain: str = "a.example"
    ) -> Job:
        outcomes.update(told)
        await engine.connect()
        job = await engine.create_job(
            domain=domain,
            handler="any",
            tasks=[NewTask(target, payload=(payloads or {}).get(target)) for target in told],
            discovery_open=False,
        )
        await asyncio.wait_for(engine.run_until_idle(), 60)
        await engine.connect()
        return job

    yield run_job
    await engine.close()


async def test_an_unchanged_page_is_one_that_was_fetched_and_no_redirect(run: Run) -> None:
    """A 304 answers a conditional request; only the five statuses with a Location redirect."""
    told = {f"http://a.example/x/{n}": Outcome.completed(http_status=n) for n in (200, 300, 304)}
    told |= {f"http://a.example/x/{n}": Outcome.completed(http_status=n) for n in (301, 308)}
    report = await (await run(told)).report()
    assert (5, 3, 2) == tuple(report.figures[name] for name in ("pages", "ok", "redirects"))
    shown = {each.url[-3:] for each in report.facts.redirects.rows}
    assert {"301", "308"} == shown
    assert [(5, 3)] == [(each.pages, each.ok) for each in report.facts.sections.rows]


async def test_whatever_handlers_keep_under_the_crawlers_names_does_no_harm(run: Run) -> None:
    """Payloads and details of any type under the members that reports and exports read."""
    told: dict[str, Outcome] = {}
    payloads: dict[str, Any] = {}
    ends = {
        "done": (Outcome.completed, {"http_status": 200}),
        "moved": (Outcome.completed, {"http_status": 301}),
        "broken": (Outcome.failed, {"error": "gone"}),
        "forbidden": (Outcome.skipped, {"error": "robots"}),
    }
    members = ("left_out", "robots_lines", "line", "other_site", "redirect_to", "message")
    for number, odd in enumerate(ODD):
        for name, (end, values) in ends.items():
            detail = {**dict.fromkeys(members, odd), "timings": odd}
            told[f"{name} {number}"] = end(**values, detail=detail)
            payloads[f"{name} {number}"] = dict.fromkeys(("from", "via", "depth", "source"), odd)
        # A member that is there and of another type, and a task that the crawler's rechecks look like.
        told[f"timed {number}"] = Outcome.completed(detail={"timings": {"total": odd}})
        told[f"again {number}"] = Outcome.completed(cache="hit")
        payloads[f"again {number}"] = {"kind": "recheck", "from": odd}
    told["sums"] = Outcome.completed(detail={"left_out": {"few": 2, "odd": "2", "many": 1e300}})
    job = await run(told, payloads)
    report = await job.report(compared_with="previous")
    assert (8, 8, 8) == tuple(
        report.figures[name] for name in ("broken", "disallowed", "redirects")
    )
    assert {"few": 2, "many": 10**12} == report.facts.sums.left_out
    assert [None, 2, None, None] == [each.line for each in report.facts.disallowed[:4]]
    assert all(form.render([(report, ())]) for form in FORMS)
    rows: list[Any] = []
    await job.export(rows.extend)
    assert len(told) == len(rows)
    assert len(told) == len([json.loads(line) for line in export._jsonl(rows).splitlines()])
    assert len(told) == export._csv(rows).count(b"\r\n")


async def test_what_answers_now_and_was_broken_is_mended(run: Run) -> None:
    """Not what is broken in another way, nor what was not looked at; and only jobs of one site."""
    gone, loop = Outcome.failed("http_4xx"), Outcome.failed("redirect_loop", http_status=302)
    fine = Outcome.completed(http_status=200)
    before = await run(dict.fromkeys(("mended", "loops", "still", "unseen"), gone))
    after = await run({"mended": fine, "loops": loop, "still": gone, "new": gone, "fine": fine})
    changes = (await after.report(compared_with="previous")).facts.changes
    assert changes is not None
    assert (before.id, ["new"]) == (changes.job.id, list(changes.newly_broken.rows))
    assert ["mended"] == list(changes.mended.rows)
    other = await run({"mended": gone}, domain="b.example")
    with pytest.raises(ConfigInvalid, match=r"job 3 is of b\.example"):
        await after.report(compared_with=other.id)


async def test_a_request_is_one_that_left_whatever_came_of_it(run: Run) -> None:
    """Also without an answer, and without a gap to keep: then its time from the departure is known."""
    told = {
        "answered": Outcome.failed("http_4xx", http_status=404),
        "timeout": Outcome.failed("timeout", detail={"timings": {"dns": 1.0, "total": 20_000.0}}),
        "unresolved": Outcome.failed("dns", detail={"timings": {"dns": 9.0}}),
        "forbidden": Outcome.skipped("robots"),
    }
    report = await (await run(told)).report()
    assert (4, 2) == (report.facts.sums.attempts, report.figures["requests"])


async def test_a_sitemap_that_robots_txt_forbids_counts_as_a_url_that_it_forbids(run: Run) -> None:
    """As many as the list has, and no page."""
    told = {"page": Outcome.skipped("robots"), "map": Outcome.skipped("robots")}
    report = await (await run(told, {"map": {"kind": "sitemap"}})).report()
    assert ["map", "page"] == [each.url for each in report.facts.disallowed]
    assert (2, 1, 1) == tuple(report.figures[name] for name in ("disallowed", "skipped", "pages"))


async def test_the_previous_job_is_no_repetition_of_some_of_its_pages(run: Run, dsn: str) -> None:
    """A retry of a final job's failed tasks is a job of its own: too few pages to compare with."""
    first = await run({"a": Outcome.failed("gone"), "b": Outcome.completed()})
    await run({"a": Outcome.completed()})
    await execute(dsn, f"UPDATE pacewheel.jobs SET retries_job_id = {first.id} WHERE id = 2")
    third = await run({"a": Outcome.completed(), "b": Outcome.completed()})
    changes = (await third.report(compared_with="previous")).facts.changes
    assert changes is not None
    assert first.id == changes.job.id
