"""Every page of a daemon at work on the farm: live, accessible, in both themes, on a phone."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import expect

from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_sites import SiteSpec
from tests.browser.conftest import Open
from tests.browser.daemons import Daemon
from tests.browser.watcher import PHONE, Watcher
from tests.conftest import fetch, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
# What bound the large job, by whatever the machine that tests has to spare.
VERDICT = re.compile("The site's pace|Worker slots|The database|The site's answers")
# The first ends within the tests, the second one doesn't.
SITES = (
    SiteSpec(name="small", pages=4, seed=1, unavailable=((2, 404),)),
    SiteSpec(name="large", pages=2_000, seed=2),
)
FIGURES = (
    *("Live jobs", "Pending", "Waiting", "Running", "Claimed/min", "Done/min"),
    *("Slots now", "Evaluations/min", "No change"),
    *("Processor", "Memory", "Received", "Sent"),
    *("Busy connections", "Idle ones", "Waiting for one"),
    *("Size", "Connections", "Commits", "Sessions at work", "Blocks read", "WAL"),
    *("Hit rate", "Raises/min"),
)
# Of the large job only what runs: axe-core looks at every cell.
PAGES = (
    "#/",
    "#/jobs",
    "#/jobs/2?state=running",
    "#/jobs/2/tasks/{task}",
    "#/domains",
    "#/domains/{domain}",
    "#/workers",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def work(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, str]]:
    """Two sites being warmed; names of what the pages are about."""
    with FarmProcess(SITES, tmp_path_factory.mktemp("farm") / "arrivals.jsonl") as farm:
        submit = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pacewheel", "submit", *farm.urls, "--dsn", daemon.dsn),
            *("--delay", "0.25", "--allow-network", "127.0.0.0/8"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert 0 == await submit.wait()

        async def settled() -> bool:
            query = "SELECT count(*) AS n FROM pacewheel.jobs WHERE status = 3 OR completed > 8"
            (row,) = await fetch(daemon.dsn, query)
            return bool(row["n"] == len(SITES))

        await until(settled)
        (row,) = await fetch(
            daemon.dsn,
            "SELECT t.id, d.name FROM pacewheel.tasks t JOIN pacewheel.domains d ON d.id = t.domain_id"
            " WHERE t.job_id = 2 AND t.status = 3 LIMIT 1",
        )
        yield {"task": str(row["id"]), "domain": row["name"].replace(":", "%3A")}


async def test_the_overview_answers_its_four_questions(daemon: Daemon, watcher: Watcher) -> None:
    """Healthy, what it does, why it waits, what binds; jobs and domains with their figures."""
    await watcher.go("#/")
    for question, answer in (
        ("Is it healthy?", "Healthy"),
        ("What is it doing?", "attempts a second"),
        ("Why is it waiting?", "Pace of the site"),
        ("What binds?", "The pace that sites permit"),
    ):
        await expect(watcher.page.get_by_role("region", name=question)).to_contain_text(answer)
    row = watcher.row("Live jobs", "running")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("%")
    await expect(row).to_contain_text(VERDICT)
    await expect(watcher.row("Busiest domains", "127.0.0.1")).to_contain_text("250 ms")
    for panel in ("Scaling decisions", "Transactions", "Job cache"):
        await expect(watcher.page.get_by_role("heading", name=panel, exact=True)).to_be_visible()
    await expect(watcher.figure("Hit rate")).to_contain_text("%")


async def test_the_figures_are_live_and_the_databases(daemon: Daemon, watcher: Watcher) -> None:
    """They move without a reload, forward only, and by the database's own counter."""
    await watcher.go("#/")

    async def shown() -> int:
        return int((await watcher.figure("Completed").inner_text()).replace(",", ""))

    first = await shown()
    await until(lambda: _later(shown, first))
    # Looked at in this order, since both only grow.
    now = await shown()
    (row,) = await fetch(daemon.dsn, "SELECT sum(completed)::int AS n FROM pacewheel.jobs")
    assert first < now <= row["n"]


async def _later(shown: object, first: int) -> bool:
    return bool(await shown() > first)  # type: ignore[operator] # an async function


async def test_charts_are_drawn_and_told(watcher: Watcher) -> None:
    """Ink on the canvas, a sentence for those who don't see it, values under the pointer."""
    await watcher.go("#/")
    charts = watcher.page.locator("figure.chart")
    await expect(charts).to_have_count(6)
    states = watcher.page.get_by_role("img", name="Tasks by state, the last")
    await expect(states).to_have_accessible_name(
        re.compile(r"running: now \d+, between \d+ and \d+\.")
    )
    ink = await charts.first.locator("canvas").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height)"
        ".data.filter((x, i) => i % 4 == 3 && x).length"
    )
    assert ink > 500
    await charts.first.locator(".u-over").hover()
    await expect(charts.first.locator(".when")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))


async def test_a_job_is_followed_to_its_tasks(watcher: Watcher) -> None:
    """From the list by its state to what an attempt said."""
    await watcher.go("#/jobs?all=1")
    await watcher.row("Jobs", "completed").get_by_role("link", name="1", exact=True).first.click()
    await expect(watcher.page.get_by_role("heading", level=1)).to_have_text("Job 1 completed")
    await watcher.page.get_by_label("State").select_option("failed")
    row = watcher.row("Tasks", "404")
    await expect(row).to_have_count(1)
    await row.get_by_role("link").click()
    await expect(watcher.page.get_by_role("heading", name="Attempts")).to_be_visible()
    await expect(watcher.row("Attempts", "404")).to_contain_text("failed")
    await watcher.page.go_back()
    await expect(watcher.page.get_by_label("State")).to_have_value("failed")


async def test_tasks_are_read_page_by_page(watcher: Watcher) -> None:
    """Forward by the server's mark and back again."""
    await watcher.go("#/jobs/2")
    names = watcher.rows("Tasks").get_by_role("rowheader")
    first = await names.first.inner_text()
    await watcher.page.get_by_role("button", name="Next", exact=True).click()
    await expect(names.first).not_to_have_text(first)
    await watcher.page.get_by_role("button", name="Previous").click()
    await expect(names.first).to_have_text(first)


async def test_the_worker_is_listed(daemon: Daemon, watcher: Watcher) -> None:
    """The process that answers says so."""
    await watcher.go("#/workers")
    (row,) = await fetch(daemon.dsn, "SELECT pid FROM pacewheel.workers WHERE dead_at IS NULL")
    await expect(watcher.row("Workers", "this one")).to_contain_text(str(row["pid"]))
    await expect(watcher.row("Workers", "this one")).to_contain_text("alive")


async def test_every_page_is_accessible(watcher: Watcher, work: dict[str, str]) -> None:
    """Nothing for axe-core to find, the contrast of colours included."""
    await watcher.go("#/nowhere")
    for page in PAGES:
        await watcher.turn_to(page.format(**work))
        assert [] == await watcher.inaccessible(), page


async def test_the_dark_theme_has_contrast_too(open_page: Open, work: dict[str, str]) -> None:
    """On the page with most colours."""
    watcher = await open_page(color_scheme="dark")
    await watcher.go("#/")
    assert [] == await watcher.inaccessible()


async def test_every_page_fits_a_phone(open_page: Open, work: dict[str, str]) -> None:
    """None is wider than its window, and rows as cards stay accessible."""
    watcher = await open_page(size=PHONE)
    await watcher.go("#/nowhere")
    for page in PAGES:
        await watcher.turn_to(page.format(**work))
        assert 0 == await watcher.overflow_px(), page
    await watcher.turn_to("#/jobs?all=1")
    assert [] == await watcher.inaccessible()


async def test_the_theme_can_be_chosen_and_is_kept(open_page: Open) -> None:
    """The system's, light, dark; over a reload."""
    watcher = await open_page(color_scheme="dark")
    await watcher.go("#/")

    async def ground() -> str:
        return str(await watcher.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    def is_not(colour: str) -> Callable[[], Awaitable[bool]]:
        async def another() -> bool:
            return await ground() != colour

        return another

    dark = await ground()
    await watcher.page.get_by_role("button", name="Theme: Automatic. Change it").click()
    await until(is_not(dark))
    light = await ground()
    await watcher.go("#/workers")
    assert light == await ground()
    await watcher.page.get_by_role("button", name="Theme: Light. Change it").click()
    await until(is_not(light))
    assert dark == await ground()


async def test_motion_is_reduced_when_asked(open_page: Open) -> None:
    """Nothing moves but what has changed."""
    watcher = await open_page(reduced_motion="reduce")
    await watcher.go("#/")
    moving = "(each) => parseFloat(getComputedStyle(each).transitionDuration)"
    everything = "[...document.querySelectorAll('*')]"
    assert 0 == await watcher.page.evaluate(f"{everything}.filter({moving}).length")


async def test_the_policy_stops_what_is_not_ours_and_the_tests_would_hear_it(
    watcher: Watcher,
) -> None:
    """A script and a style that got into the markup do nothing but complain."""
    await watcher.go("#/workers")
    await watcher.page.evaluate(
        "() => { const script = document.createElement('script');"
        " script.textContent = 'window.intruder = true'; document.body.append(script);"
        " const styled = document.createElement('p');"
        " styled.setAttribute('style', 'position: fixed'); document.body.append(styled); }"
    )
    assert not await watcher.page.evaluate("window.intruder")
    assert "static" == await watcher.page.evaluate(
        "getComputedStyle(document.body.lastElementChild).position"
    )
    assert 2 == len(watcher.complaints)
    watcher.forgive(re.compile("Content Security Policy"))


async def test_a_page_that_nobody_sees_holds_no_stream(watcher: Watcher) -> None:
    """Browsers keep six connections to a server: tabs behind others must not use them up."""
    streams: list[str] = []
    watcher.page.on(
        "request", lambda sent: streams.append(sent.url) if "/events" in sent.url else None
    )
    await watcher.go("#/")
    await expect(watcher.page.locator(".live")).to_have_text("Live")
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
    turn = hide + " document.dispatchEvent(new Event('visibilitychange')); }"
    async with watcher.page.expect_event("requestfailed", lambda sent: "/events" in sent.url):
        await watcher.page.evaluate(turn, True)
    async with watcher.page.expect_event("request", lambda sent: "/events" in sent.url):
        await watcher.page.evaluate(turn, False)
    await expect(watcher.page.locator(".live")).to_have_text("Live")
    assert 2 == len(streams)


async def test_every_metric_that_is_asked_for_stands_on_the_overview(watcher: Watcher) -> None:
    """The requirements' list, by the words of the page; each has a value.

    The last test, for the database's figures have been read more than once by now.
    """
    await watcher.go("#/")
    for name in FIGURES:
        await expect(watcher.figure(name)).to_have_text(re.compile(r"\d"))
    for column in ("p50", "p95", "p99", "Slow", "Errors"):
        heading = watcher.page.get_by_role("columnheader", name=column, exact=True)
        await expect(heading.first).to_be_visible()
    await expect(watcher.page.locator("#transactions + .note")).to_contain_text("slow a minute")
    slots = watcher.page.get_by_text("Slots of this process in use", exact=True)
    await expect(slots).to_be_visible()
