"""Discovery on a linked site of 2,000 pages, replayed: raises written at once, and by the propagator.

Every page's visit offers its links their priorities (design of the crawler: the start page's header
1.0 and footer 0.99, all other links 0.9 of the page they stand on; the sitemap gave all pages 0.1).
The same offers in the same order are replayed twice on a real database, a page a second by a clock
of the bench's own:

- *at once*: one UPDATE a page that writes every link's row, no-op or not;
- *debounced*: `enqueue_tasks` as a settle runs it, the propagator flushing when its tiers say so.

Nothing is claimed meanwhile, so no raise is saved because its page was done already: the final
priorities of all pages must be equal. Two orders of visits: best priority first, as pages are
claimed, and as the sitemap lists them, where priorities change most often.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest
import uvloop

from pacewheel import Engine, NewTask
from pacewheel.metrics import Metrics
from pacewheel.services.propagator import Propagator

AT_ONCE = (Path(__file__).parent / "floor" / "raise_at_once.sql").read_text()
PAGES = 2_000
HEADER = range(1, 11)
FOOTER = range(11, 21)
OTHER_LINKS = 20
SITEMAP_PRIORITY = 0.1
PAGE_MS = 1_000
Offers = list[tuple[int, float]]


class Totals(NamedTuple):
    """What one replay cost, and the priorities it ended with."""

    statements: int
    written: int
    priorities: dict[str, float]


def target(page: int) -> str:
    """Return the address of a page."""
    return f"https://shop.example.com/section-{page % 97}/article-{page}.html"


def links_of(page: int) -> list[int]:
    """Return the pages that a page links to: header, footer, its parent and children, and others."""
    source = random.Random(page)
    near = [page // 5, *range(page * 5 + 1, page * 5 + 6)]
    others = source.sample(range(PAGES), OTHER_LINKS)
    return [one for one in dict.fromkeys([*HEADER, *FOOTER, *near, *others]) if one < PAGES]


def discovery(*, best_first: bool) -> list[Offers]:
    """Return what each visit offers, in the order of visits."""
    priorities = dict.fromkeys(range(PAGES), SITEMAP_PRIORITY) | {0: 1.0}
    left = set(range(PAGES))
    visits = []
    for number in range(PAGES):
        page = min(left, key=lambda one: (-priorities[one], one)) if best_first else number
        left.discard(page)
        offers = []
        for link in links_of(page):
            priority = priorities[page] * 0.9
            if page == 0 and link in HEADER:
                priority = 1.0
            elif page == 0 and link in FOOTER:
                priority = 0.99
            offers.append((link, priority))
        for link, priority in offers:
            priorities[link] = max(priority, priorities[link])
        visits.append(offers)
    return visits


async def create_site(engine: Engine, name: str) -> int:
    """Create a job with all pages as the sitemap lists them; return its id."""
    tasks = [NewTask(target(page), priority=SITEMAP_PRIORITY) for page in range(1, PAGES)]
    tasks.append(NewTask(target(0), priority=1.0))
    job = await engine.create_job(domain=name, handler="none", tasks=tasks)
    return job.id


async def final_priorities(connection: asyncpg.Connection, job_id: int) -> dict[str, float]:
    """Return every page's priority."""
    query = "SELECT target, priority FROM pacewheel.tasks WHERE job_id = $1"
    return dict(await connection.fetch(query, job_id))


async def replay_at_once(
    connection: asyncpg.Connection, job_id: int, visits: list[Offers]
) -> Totals:
    """Write each visit's offers by one statement."""
    statements = written = 0
    for offers in visits:
        targets = [target(page) for page, _ in offers]
        answer = await connection.execute(AT_ONCE, job_id, targets, [of for _, of in offers])
        statements += 1
        written += int(answer.split()[-1])
    return Totals(statements, written, await final_priorities(connection, job_id))


async def replay_debounced(
    engine: Engine,
    connection: asyncpg.Connection,
    job_id: int,
    visits: list[Offers],
    metrics: Metrics,
) -> Totals:
    """Offer them as a settle does; let the propagator write."""
    now_ms = 0.0
    propagator = Propagator(
        store=engine.store.raises,
        mark_due=lambda _: None,
        metrics=metrics,
        entries_max=50_000,
        warm_ms=10_000,
        cold_ms=60_000,
        now_ms=lambda: now_ms,
    )
    for offers in visits:
        tasks = [(job_id, NewTask(target(page), priority=of)) for page, of in offers]
        async with connection.transaction():
            inserted = await engine.store.tasks._insert(connection, tasks, notify=False)
        propagator.add(inserted.raises)
        await propagator.run_once()
        now_ms += PAGE_MS
    propagator.hurry()
    await propagator.run_once()
    assert 0 == await connection.fetchval("SELECT count(*) FROM pacewheel.priority_updates")
    causes = ("mandatory", "soft", "drain", "hard")
    statements = sum(metrics.value("pacewheel_raise_flushes_total", cause=one) for one in causes)
    written = metrics.value("pacewheel_raise_outcomes_total", outcome="written")
    return Totals(int(statements), int(written), await final_priorities(connection, job_id))


@pytest.mark.requirement
@pytest.mark.parametrize("order", ["best first", "sitemap order"])
def test_discovery_is_propagated_with_few_writes(
    dsn: str, budget: Callable[[str, float], None], order: str
) -> None:
    """The same final priorities, at a fraction of rows and statements."""
    visits = discovery(best_first=order == "best first")
    offered = sum(map(len, visits))
    metrics = Metrics()

    async def replay() -> tuple[Totals, Totals]:
        engine = Engine(dsn)
        await engine.connect()
        connection = await asyncpg.connect(dsn)
        try:
            jobs = [await create_site(engine, f"{order} {way}") for way in ("once", "debounced")]
            at_once = await replay_at_once(connection, jobs[0], visits)
            debounced = await replay_debounced(engine, connection, jobs[1], visits, metrics)
            return at_once, debounced
        finally:
            await connection.close()
            await engine.close()

    at_once, debounced = uvloop.run(replay())
    assert at_once.priorities == debounced.priorities
    outcome = {
        name: int(metrics.value("pacewheel_raise_outcomes_total", outcome=name))
        for name in ("merged", "suppressed_buffer", "suppressed_database")
    }
    print(
        f"\n{order}: {offered:,} raises offered; at once {at_once.written:,} rows by"
        f" {at_once.statements:,} statements; debounced {debounced.written:,} rows by"
        f" {debounced.statements:,} statements, {outcome['merged']:,} merged, suppressed"
        f" {outcome['suppressed_buffer']:,} in the buffer and"
        f" {outcome['suppressed_database']:,} in SQL"
    )
    budget(f"priorities: {order}, raises saved", 100 * (1 - debounced.written / offered))
    saved = 1 - debounced.statements / at_once.statements
    budget(f"priorities: {order}, statements saved", 100 * saved)
