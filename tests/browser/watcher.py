"""A browser on the dashboard: Debian's Chromium, driven by Playwright, and what a page did wrong.

Chromium is the machine's, or the one that `make chromium` puts into build/. Where it can't be had,
what needs it is skipped, with the reason.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Locator, Page

BUILD = Path(__file__).parents[2] / "build" / "chromium"
WIDE = (1280, 900)
PHONE = (360, 740)
# It has no user namespaces to lock itself into where tests run as root; it sees our pages alone.
ARGUMENTS = ["--no-sandbox"]
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
# What it says when a server is gone, and when it is back before it has its database.
UNREACHABLE = re.compile(
    r"Failed to load resource: (net::ERR_|the server responded with a status of 503)"
)
# Who has no session, or none any more.
UNKNOWN = re.compile(r"Failed to load resource: the server responded with a status of 401")
# Without the session's proof.
FORBIDDEN = re.compile(r"Failed to load resource: the server responded with a status of 403")
# Of answers that are errors on purpose.
REFUSED = re.compile(
    r"Failed to load resource: the server responded with a status of (404|409|400|503)"
)


def find_chromium() -> Path:
    """Return the program; skip the test, loudly, where there is none."""
    found = shutil.which("chromium")
    program = Path(found) if found else BUILD / "chromium"
    reason = BUILD / "reason"
    if not found and reason.exists():
        pytest.skip(f"NOT TESTED in a browser: {reason.read_text().strip()}")
    if not program.exists():
        pytest.skip(f"NOT TESTED in a browser: no Chromium at {program}; run 'make chromium'")
    return program


class Watcher:
    """One page in a context of its own, and everything it complained of.

    `complaints` are console errors and warnings, violations of the content security policy among
    them, exceptions, and requests to any other server.
    """

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("request", self._see)

    @classmethod
    async def open(cls, browser: Browser, url: str, **options: Any) -> Watcher:
        """Open a page; `options` are the context's: viewport, color_scheme."""
        size = options.pop("size", WIDE)
        viewport = {"width": size[0], "height": size[1]}
        context = await browser.new_context(viewport=viewport, **options)
        context.set_default_timeout(PATIENCE_MS)
        return cls(context, await context.new_page(), url)

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _see(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:")):
            self.complaints.append(f"a request elsewhere: {request.url}")

    async def go(self, path: str) -> None:
        """Show a page of the dashboard, anew."""
        await self.go_to_nothing(path)
        await self._expect_shown()

    async def turn_to(self, path: str) -> None:
        """Show a page as by a link, from another page."""
        await self.page.evaluate(
            "(path) => new Promise((done) => {"
            " addEventListener('hashchange', () => requestAnimationFrame(() => setTimeout(done)),"
            " { once: true }); location.hash = path; })",
            path,
        )
        await self._expect_shown()

    async def _expect_shown(self) -> None:
        await expect(self.page.locator("main .loading")).to_have_count(0)
        await expect(self.page.get_by_role("heading", level=1)).to_be_attached()

    async def go_to_nothing(self, path: str) -> None:
        """Show a page of something that isn't there."""
        await self.page.goto("about:blank")
        await self.page.goto(f"{self.url}/{path}")

    def rows(self, table: str) -> Locator:
        """The rows of a table, by its caption, without its head."""
        return self.page.get_by_role("table", name=table, exact=True).locator("tbody > tr")

    def row(self, table: str, words: str) -> Locator:
        """The row of a table, by the table's caption, that has these words in it."""
        return self.rows(table).filter(has_text=words)

    def figure(self, name: str) -> Locator:
        """The value beside a name, first on the page."""
        named = self.page.locator("dl > div").filter(has=self.page.get_by_text(name, exact=True))
        return named.first.locator("dd")

    async def answer(self, button: str) -> None:
        """Press a button of the dialog, and wait until it is gone."""
        dialog = self.page.get_by_role("dialog")
        await dialog.get_by_role("button", name=button, exact=True).click()
        await expect(dialog).to_have_count(0)

    async def expect_said(self, words: str | re.Pattern[str]) -> None:
        """Wait until the page says this to those who listen."""
        await expect(self.page.locator(".said")).to_have_text(words)

    async def inaccessible(self) -> list[str]:
        """What axe-core finds wrong with the page as it is shown."""
        results = await Axe().run(self.page)
        return [
            f"{each['id']}: {node['target']} {node['html'][:120]}"
            for each in results.response["violations"]
            for node in each["nodes"]
        ]

    async def overflow_px(self) -> int:
        """By how much the page is wider than its window."""
        width: int = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return max(0, width)

    def forgive(self, expected: re.Pattern[str]) -> None:
        """Drop complaints that the test provoked, of which there must be some."""
        left = [each for each in self.complaints if not expected.search(each)]
        assert len(left) < len(self.complaints), self.complaints
        self.complaints = left

    async def close(self) -> None:
        """Close it; the page must not have complained."""
        await self.context.close()
        assert [] == self.complaints, self.complaints
