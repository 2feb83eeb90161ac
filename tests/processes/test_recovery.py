"""Named regressions: moments after which an engine stood still, or was too fast."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pacewheel import Config, Engine, NewTask, Outcome, Task
from pacewheel.errors import StoreUnavailable
from tests.conftest import FAST, until
from tests.processes.fleet import create_jobs


def noting_engine(dsn: str, config: Config) -> tuple[Engine, list[str]]:
    """An engine whose handler `work` notes its targets."""
    engine = Engine(dsn, config=config)
    seen: list[str] = []

    @engine.handler("work")
    async def work(task: Task) -> None:
        seen.append(task.target)

    return engine, seen


async def test_a_full_queue_of_outcomes_holds_claims_back_and_lets_them_go_on(dsn: str) -> None:
    """With room for four outcomes, five hundred tasks are done all the same."""
    await create_jobs(dsn, ["d"], 500, concurrency=1000)
    engine, seen = noting_engine(dsn, Config(settle_queue_max=4))
    await asyncio.wait_for(engine.run_until_idle(), 60)
    assert 500 == len(seen)


async def test_a_lease_whose_answer_was_lost_is_found_again(dsn: str) -> None:
    """The database made the process an owner that does not know it; the next look tells."""
    await create_jobs(dsn, ["d"], 10)
    engine, seen = noting_engine(dsn, Config(**FAST))
    await engine.connect()
    answer = engine.store.leases._fetch
    lost: list[str] = []

    async def lose_one_answer(name: str, *args: Any) -> Any:
        rows = await answer(name, *args)
        if name == "lease_domains" and not lost:
            lost.append(name)
            raise StoreUnavailable("the connection broke before the answer came: try again")
        return rows

    engine.store.leases._fetch = lose_one_answer  # type: ignore[method-assign] # a broken connection
    try:
        await engine.start()
    except StoreUnavailable:
        await engine.start()
    await until(lambda: len(seen) == 10)
    await engine.stop()
    assert lost


async def test_a_crawl_delay_counts_from_the_request_that_taught_it(dsn: str) -> None:
    """A domain without a gap answers robots.txt with one: the first page keeps it."""
    engine = Engine(dsn, config=Config(**FAST))
    departures: list[float] = []

    @engine.handler("work")
    async def work(task: Task) -> Outcome:
        departures.append(time.monotonic() * 1000)
        if task.target == "robots":
            return Outcome.completed(robots_delay_ms=400, discovered=[NewTask("page")])
        return Outcome.completed()

    await engine.connect()
    await engine.create_job(
        domain="d", handler="work", tasks=[NewTask("robots")], discovery_open=False
    )
    await engine.run_until_idle()
    assert 398 <= departures[1] - departures[0]


async def test_a_process_frozen_past_its_lease_goes_on(dsn: str) -> None:
    """Nobody declared it dead: it renews and claims again without waiting for a sweep."""
    await create_jobs(dsn, ["d"], 60, gap_ms=30)
    engine, seen = noting_engine(dsn, Config(**{**FAST, "sweep_s": 3600.0}))
    run = asyncio.create_task(engine.run_until_idle())
    await until(lambda: len(seen) > 5)
    # The whole process stands still, event loop and all.
    time.sleep(FAST["lease_ttl_s"] * 1.25)  # noqa: ASYNC251 - freezing the loop is the test
    await asyncio.wait_for(run, 60)
    assert 60 == len(seen)
