"""What reports make of answers and details that the crawler seldom sees, or other handlers keep."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pacewheel import Engine, NewTask, Outcome, Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pacewheel.engine import Job

    Run = Callable[..., Any]


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
        await asyncio.wait_for(engine.run_until_idle(), 20)
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
