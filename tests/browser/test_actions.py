"""Every action of the dashboard: asked about first, then done, and its effect in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from pacewheel import Engine, NewTask
from pacewheel.engine import Job
from tests.browser.daemons import Daemon
from tests.browser.watcher import FORBIDDEN, REFUSED, Watcher
from tests.conftest import execute, fetch

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOMAIN = "shop.example"


@pytest_asyncio.fixture(loop_scope="module")
async def job(daemon: Daemon) -> AsyncIterator[Job]:
    """A job that nobody works on: five tasks, one of them failed."""
    engine = Engine(daemon.dsn)
    await engine.connect()
    created = await engine.create_job(
        domain=DOMAIN,
        handler="nobody",
        domain_delay_ms=1_000,
        tasks=[NewTask(f"t{n}", key=f"k{n}") for n in range(5)],
    )
    await execute(
        daemon.dsn,
        "UPDATE pacewheel.tasks SET status = 4, finished_at = now()"
        f" WHERE target = 't4' AND job_id = {created.id}",
        f"UPDATE pacewheel.jobs SET failed = 1, pending = 4 WHERE id = {created.id}",
    )
    yield created
    await engine.close()


async def state_of(daemon: Daemon, job: Job, columns: str = "status") -> tuple[object, ...]:
    """Columns of the job's row."""
    (row,) = await fetch(daemon.dsn, f"SELECT {columns} FROM pacewheel.jobs WHERE id = {job.id}")
    return tuple(row)


async def test_pause_and_resume_from_the_list(daemon: Daemon, job: Job, watcher: Watcher) -> None:
    """The dialog says what will happen; the row shows what has, and offers the way back."""
    await watcher.go("#/jobs")
    row = watcher.row("Jobs", str(job.id))
    await row.get_by_role("button", name=f"Pause: job {job.id}").click()
    dialog = watcher.page.get_by_role("dialog", name=f"Pause job {job.id}?")
    await expect(dialog).to_contain_text("Nothing more of job")
    assert (0,) == await state_of(daemon, job)
    await watcher.answer("Pause job")
    await watcher.expect_said(f"Job {job.id} is paused; what runs of it ends by itself.")
    assert (2,) == await state_of(daemon, job)
    await expect(row).to_contain_text("paused")
    await row.get_by_role("button", name=f"Resume: job {job.id}").click()
    await watcher.answer("Resume job")
    await watcher.expect_said(f"Job {job.id} goes on.")
    assert (0,) == await state_of(daemon, job)


async def test_what_is_not_confirmed_is_not_done(
    daemon: Daemon, job: Job, watcher: Watcher
) -> None:
    """By the button, or by Escape."""
    await watcher.go(f"#/jobs/{job.id}")
    for leave in ("Keep as it is", None):
        await watcher.page.get_by_role("button", name="Cancel", exact=True).click()
        if leave is None:
            await watcher.page.keyboard.press("Escape")
        else:
            await watcher.answer(leave)
        await expect(watcher.page.get_by_role("dialog")).to_have_count(0)
    assert (0,) == await state_of(daemon, job)


async def test_cancel(daemon: Daemon, job: Job, watcher: Watcher) -> None:
    """The job ends with all its live tasks, and offers no action but to retry what failed."""
    await watcher.go(f"#/jobs/{job.id}")
    await watcher.page.get_by_role("button", name="Cancel", exact=True).click()
    await expect(watcher.page.get_by_role("dialog")).to_contain_text("4 live tasks")
    await watcher.answer("Cancel job")
    await watcher.expect_said(f"Job {job.id} is cancelled, and 4 tasks with it.")
    assert (5, 4) == await state_of(daemon, job, "status, cancelled")
    await expect(watcher.page.get_by_role("heading", level=1)).to_contain_text("cancelled")
    await expect(watcher.page.locator(".hero .actions button")).to_have_text(["Retry failed"])


async def test_retry(daemon: Daemon, job: Job, watcher: Watcher) -> None:
    """Of a live job, failed tasks are pending again."""
    await watcher.go(f"#/jobs/{job.id}")
    await watcher.page.get_by_role("button", name="Retry failed").click()
    await expect(watcher.page.get_by_role("dialog")).to_contain_text("in this job")
    await watcher.answer("Retry failed tasks")
    await watcher.expect_said(f"1 task to run again in job {job.id}.")
    assert (0, 5) == await state_of(daemon, job, "failed, pending")


async def test_reprioritise(daemon: Daemon, job: Job, watcher: Watcher) -> None:
    """The field holds what is so now; what is no number is not sent."""
    await watcher.go(f"#/jobs/{job.id}")
    await watcher.page.get_by_role("button", name="Priority").click()
    field = watcher.page.get_by_label("Priority", exact=True)
    await expect(field).to_have_value("0")
    await field.fill("")
    await watcher.page.get_by_role("button", name="Change priority").click()
    await expect(field).to_be_focused()
    await field.fill("1.5")
    await watcher.answer("Change priority")
    await watcher.expect_said(f"Job {job.id} has priority 1.5 now.")
    assert (1.5,) == await state_of(daemon, job, "priority")


async def test_the_delay_of_a_domain(daemon: Daemon, job: Job, watcher: Watcher) -> None:
    """Set in its row, and shown at once."""
    await watcher.go(f"#/domains/{DOMAIN}")
    await watcher.page.get_by_role("button", name="Set delay").click()
    field = watcher.page.get_by_label("Delay in milliseconds")
    await expect(field).to_have_value("1000")
    await field.fill("2500")
    await watcher.answer("Set delay")
    rows = await fetch(
        daemon.dsn, f"SELECT base_delay_ms FROM pacewheel.domains WHERE name = '{DOMAIN}'"
    )
    assert [(2500,)] == [tuple(row) for row in rows]
    await expect(watcher.figure("Delay now")).to_have_text("2.5 s")
    await execute(daemon.dsn, "UPDATE pacewheel.domains SET base_delay_ms = 1000")


async def test_a_refusal_is_said_in_the_dialog(daemon: Daemon, job: Job, watcher: Watcher) -> None:
    """Somebody else was first: the dialog stays, with the server's words, and takes another try."""
    await watcher.go(f"#/jobs/{job.id}")
    await watcher.page.get_by_role("button", name="Pause").click()
    await job.cancel()
    dialog = watcher.page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Pause job").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("is cancelled and takes no more")
    await watcher.answer("Keep as it is")
    watcher.forgive(REFUSED)


async def test_an_action_without_proof_is_refused(
    daemon: Daemon, job: Job, watcher: Watcher
) -> None:
    """A request from the page itself, but without the session's token, changes nothing."""
    await watcher.go(f"#/jobs/{job.id}")
    status = await watcher.page.evaluate(
        "id => fetch(`api/v1/jobs/${id}/pause`, {method: 'POST'}).then((answer) => answer.status)",
        job.id,
    )
    assert 403 == status
    assert (0,) == await state_of(daemon, job)
    watcher.complaints.clear()


async def test_a_proof_that_is_out_of_date_is_renewed(
    daemon: Daemon, job: Job, watcher: Watcher
) -> None:
    """As after a restart that the page has not noticed yet."""
    stale = '{"csrf": "stale", "needs_token": false, "version": "0", "worker_id": null}'
    await watcher.page.route("**/session", lambda route: route.fulfill(body=stale), times=1)
    await watcher.go(f"#/jobs/{job.id}")
    await watcher.page.get_by_role("button", name="Pause").click()
    await watcher.answer("Pause job")
    assert (2,) == await state_of(daemon, job)
    watcher.forgive(FORBIDDEN)


async def test_keyboard_only(daemon: Daemon, job: Job, watcher: Watcher) -> None:
    """From the skip link to a paused job; the focus is seen, held by the dialog, and comes back."""
    await watcher.go("#/")
    press = watcher.page.keyboard.press
    await press("Tab")
    await expect(watcher.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await press("Enter")
    await expect(watcher.page.locator("main")).to_be_focused()
    await press("Shift+Tab")
    for _ in range(10):
        if await watcher.page.evaluate("document.activeElement.textContent") == "Jobs":
            break
        await press("Shift+Tab")
    await press("Enter")
    await expect(watcher.page.get_by_role("heading", level=1, name="Jobs")).to_be_visible()
    await expect(watcher.page.locator("main")).to_be_focused()
    button = watcher.page.get_by_role("button", name=f"Pause: job {job.id}")
    await expect(button).to_be_visible()
    for _ in range(40):
        await press("Tab")
        if await button.evaluate("each => each === document.activeElement"):
            break
    assert "none" != await button.evaluate("each => getComputedStyle(each).outlineStyle")
    await press("Enter")
    dialog = watcher.page.get_by_role("dialog")
    for _ in range(5):
        await press("Tab")
        assert await dialog.evaluate(
            "each => each.contains(document.activeElement) || !document.hasFocus()"
        )
    assert [] == await watcher.inaccessible()
    await press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(button).to_be_focused()
    await press("Enter")
    await dialog.get_by_role("button", name="Pause job").press("Enter")
    await watcher.expect_said(f"Job {job.id} is paused; what runs of it ends by itself.")
    assert (2,) == await state_of(daemon, job)
