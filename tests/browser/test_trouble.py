"""Nothing to show, nothing that can be shown, very much to show, and nobody to ask."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Open
from tests.browser.daemons import Daemon
from tests.browser.watcher import PHONE, REFUSED, UNKNOWN, UNREACHABLE, Watcher
from tests.conftest import execute, fetch
from tests.postgres_proxy import PostgresProxy

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOMAINS = 10_000
# Ten thousand rows would be a hundred times as much.
ELEMENTS_MAX = 3_000
ANSWER_BYTES_MAX = 100_000
TOKEN = "a-token-of-sixteen-characters"
MARKUP = "<img src=x onerror=document.title=1>"
# Turns what follows it about, and is as long as a name may be.
MISLEADING = "evil\u202egnp." + 400 * "long-name-"
FILL = (
    (
        "INSERT INTO pacewheel.domains (name, base_delay_ms) SELECT 'site-' || lpad(n::text, 5, '0') || '.example',"
        f" 1000 + n FROM generate_series(1, {DOMAINS}) n"
    ),
    (
        "INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, pending, total)"
        " SELECT id, 'nobody', 8, 1 + id, 1 + id FROM pacewheel.domains"
    ),
)


async def add_job(daemon: Daemon, domain: str) -> int:
    """A job that nobody works on; returns its id."""
    (row,) = await fetch(
        daemon.dsn,
        "WITH d AS (INSERT INTO pacewheel.domains (name) VALUES ($1) RETURNING id)"
        " INSERT INTO pacewheel.jobs (domain_id, handler, concurrency, pending, total)"
        " SELECT id, 'nobody', 8, 1, 1 FROM d RETURNING id",
        domain,
    )
    return int(row["id"])


async def test_without_work_it_says_the_next_step(watcher: Watcher) -> None:
    """The overview of a fresh database, and the lists of it."""
    await watcher.go("#/")
    await expect(watcher.page.get_by_role("region", name="What is it doing?")).to_contain_text(
        "Idle"
    )
    await expect(watcher.page.get_by_role("region", name="Why is it waiting?")).to_contain_text(
        "Nothing waits"
    )
    await expect(watcher.page.locator("main")).to_contain_text(
        "pacewheel submit https://example.com"
    )
    await expect(watcher.page.locator("main")).to_contain_text("No domain has work")
    assert [] == await watcher.inaccessible()
    await watcher.go("#/jobs")
    await expect(watcher.page.locator(".empty")).to_contain_text("No live jobs")


async def test_what_is_not_there_is_said_with_a_way_on(watcher: Watcher) -> None:
    """A job, a domain and a page that nobody knows."""
    for path, words in (("#/jobs/77", "job 77"), ("#/domains/none.example", "none.example")):
        await watcher.go_to_nothing(path)
        await expect(watcher.page.locator(".empty")).to_contain_text(words)
        await expect(watcher.page.locator(".empty").get_by_role("link")).to_have_attribute(
            "href", "#/"
        )
    watcher.forgive(REFUSED)
    await watcher.go("#/nowhere")
    await expect(watcher.page.locator("main")).to_contain_text("This address leads nowhere")


async def test_ten_thousand_domains_stay_fluent(daemon: Daemon, open_page: Open) -> None:
    """Fifty rows at a time, found by the server, and no more in the page; on a phone too."""
    await execute(daemon.dsn, *FILL, "ANALYZE")
    watcher = await open_page(size=PHONE)
    await watcher.go("#/domains")
    rows = watcher.rows("Domains")
    await expect(rows).to_have_count(50)
    await expect(watcher.page.get_by_role("main")).to_contain_text("1 to 50 of 10,000")
    await expect(rows.first).to_contain_text("site-10000.example")
    await watcher.page.get_by_role("button", name="Next", exact=True).click()
    await expect(rows.first).to_contain_text("site-09950.example")
    await watcher.page.get_by_label("Find a domain").fill("-00042")
    await expect(rows).to_have_count(1)
    await expect(rows.first).to_contain_text("site-00042.example")
    await watcher.page.get_by_label("Find a domain").fill("nowhere")
    await expect(watcher.page.locator(".empty")).to_contain_text(
        "No domain has “nowhere” in its name"
    )
    await watcher.page.get_by_role("link", name="Domains", exact=True).click()
    await expect(watcher.page.get_by_label("Find a domain")).to_have_value("")
    await expect(rows).to_have_count(50)
    await watcher.page.get_by_label("Order").select_option("Delay now")
    await expect(rows.first).to_contain_text("site-10000.example")
    assert 0 == await watcher.overflow_px()
    # What a browser has to do for a frame depends on what a page holds, and so does what is read
    # anew every two seconds.
    assert ELEMENTS_MAX > await watcher.page.evaluate("document.querySelectorAll('*').length")
    sizes = await watcher.page.evaluate(
        "performance.getEntriesByType('resource').filter((each) => each.name.includes('/domains'))"
        ".map((each) => each.decodedBodySize)"
    )
    assert ANSWER_BYTES_MAX > max(sizes), sizes


async def test_what_the_database_has_not_said_is_not_known(watcher: Watcher) -> None:
    """Not that there is nothing: the process may have begun without its database."""
    await watcher.page.add_init_script(
        "window.EventSource = class extends EventTarget { constructor() { super();"
        " fetch('api/v1/overview').then((answer) => answer.json()).then((found) => this.dispatchEvent("
        " new MessageEvent('overview', { data: JSON.stringify({ ...found, totals: null }) }))); }"
        " close() {} };"
    )
    await watcher.go("#/")
    for question in ("What is it doing?", "Why is it waiting?"):
        region = watcher.page.get_by_role("region", name=question)
        await expect(region.locator(".headline")).to_have_text("Not known yet")


async def test_charts_go_on_when_the_servers_clock_is_set_back(watcher: Watcher) -> None:
    """By an hour, or by more than there is; what was before is still before."""
    await watcher.go("#/workers")
    at = await watcher.page.evaluate(
        "import('/static/history.js').then(({ History }) => { const history = new History();"
        " for (const at of [7200, 7201, 3600, 3601, 3599]) history.append({ at }); return history.at; })"
    )
    assert [3598, 3599, 3600, 3601] == at


async def test_names_are_shown_as_they_are(daemon: Daemon, watcher: Watcher) -> None:
    """A domain whose name is markup is its text, in every place that shows it."""
    await add_job(daemon, MARKUP)
    await watcher.go("#/domains?search=onerror")
    await watcher.page.get_by_role("link", name=MARKUP).click()
    await expect(watcher.page.get_by_role("heading", level=1)).to_contain_text(MARKUP)
    await watcher.page.get_by_role("button", name="Set delay").click()
    await expect(watcher.page.get_by_role("dialog")).to_contain_text(MARKUP)
    assert 0 == await watcher.page.locator("img").count()
    await expect(watcher.page).to_have_title(f"{MARKUP} · pacewheel")


async def test_names_mislead_nobody(daemon: Daemon, watcher: Watcher) -> None:
    """What would turn the words of a dialog about is shown as what it is; a long name is cut off in lists."""
    job_id = await add_job(daemon, MISLEADING)
    await watcher.go("#/jobs")
    row = watcher.row("Jobs", "evil")
    box = await row.bounding_box()
    assert box is not None
    assert box["height"] < 150
    await row.get_by_role("button", name=f"Cancel: job {job_id}").click()
    await expect(watcher.page.get_by_role("dialog")).to_contain_text(r"(evil\u202egnp.long")


async def test_a_database_that_is_away_is_said(
    proxy: PostgresProxy, daemon: Daemon, watcher: Watcher
) -> None:
    """Failing, with what happens next; figures known before stay; all goes on when it is back."""
    await add_job(daemon, "away.example")
    await watcher.go("#/jobs")
    proxy.go_away()
    await expect(watcher.page.locator("main .notice")).to_contain_text("can't be read anew")
    await expect(watcher.page.get_by_role("table", name="Jobs")).to_be_visible()
    proxy.come_back()
    await expect(watcher.page.locator("main .notice")).to_have_count(0)
    await watcher.go("#/")
    healthy = watcher.page.get_by_role("region", name="Is it healthy?")
    live_jobs = await watcher.figure("Live jobs").inner_text()
    proxy.go_away()
    await expect(healthy).to_contain_text("Failing")
    await expect(healthy).to_contain_text("Database: ")
    await expect(watcher.figure("Live jobs")).to_have_text(live_jobs)
    await watcher.page.get_by_role("link", name="Workers").click()
    await expect(watcher.page.get_by_role("alert")).to_contain_text("This can't be shown now")
    proxy.come_back()
    await watcher.page.get_by_role("button", name="Try again").click()
    await expect(watcher.row("Workers", "this one")).to_contain_text("alive")
    watcher.forgive(REFUSED)


async def test_a_lost_server_is_said_and_found_again(daemon: Daemon, watcher: Watcher) -> None:
    """Since when, and of when the figures are; then by itself all is as before, actions too."""
    job_id = await add_job(daemon, "lost.example")
    await watcher.go("#/jobs")
    await expect(watcher.page.locator(".live")).to_have_text("Live")
    daemon.kill()
    lost = watcher.page.get_by_role("alert")
    await expect(lost).to_have_text(
        re.compile(r"The server can't be reached since \d\d:\d\d:\d\d\. Reconnecting by itself\.")
    )
    await expect(watcher.page.locator(".lost")).to_contain_text("These figures are of")
    await expect(watcher.page.locator("main")).to_have_class("stale")
    await expect(watcher.page.get_by_role("table", name="Jobs")).to_be_visible()
    await watcher.page.get_by_role("button", name=f"Pause: job {job_id}").click()
    dialog = watcher.page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Pause job").click()
    await expect(dialog.get_by_role("alert")).to_have_text("The server can't be reached.")
    await daemon.start()
    await expect(watcher.page.locator(".lost")).to_have_count(0)
    await watcher.answer("Pause job")
    await watcher.expect_said(f"Job {job_id} is paused; what runs of it ends by itself.")
    watcher.forgive(UNREACHABLE)


async def test_a_token_is_asked_for_and_then_all_works(daemon: Daemon, watcher: Watcher) -> None:
    """A server that comes back with a token sends who watches to its log-in, and from there on."""
    job_id = await add_job(daemon, "token.example")
    await watcher.go(f"#/jobs/{job_id}")
    daemon.kill()
    await daemon.start(http_token=TOKEN)
    field = watcher.page.get_by_label("token", exact=False)
    await expect(field).to_be_visible()
    assert [] == await watcher.inaccessible()
    await field.fill(TOKEN)
    await field.press("Enter")
    await expect(watcher.page.locator(".live")).to_have_text("Live")
    await expect(watcher.page.get_by_role("heading", level=1)).to_contain_text(f"Job {job_id}")
    await watcher.go("#/jobs")
    await watcher.page.get_by_role("button", name=f"Pause: job {job_id}").click()
    await watcher.answer("Pause job")
    await watcher.expect_said(f"Job {job_id} is paused; what runs of it ends by itself.")
    await watcher.page.get_by_role("button", name="Log out").click()
    await expect(field).to_be_visible()
    await watcher.go_to_nothing("#/jobs")
    await expect(watcher.page.get_by_role("table", name="Jobs")).to_have_count(0)
    watcher.forgive(UNREACHABLE)
    watcher.forgive(UNKNOWN)
