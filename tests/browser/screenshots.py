"""`make screenshots`: the README's pictures of the dashboard, taken of a daemon that warms the farm.

The demo's sites under names that can be shown, a minute and a half into the work; one job is paused by then.
Each picture is WebP below PICTURE_BYTES_MAX.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.async_api import async_playwright

from pacewheel import Config, Engine, embedded
from pacewheel.cli.sites import Plan, ensure_jobs, sites_of
from pacewheel.loadtest.farm import FarmProcess
from pacewheel.loadtest.farm_presets import demo_sites
from tests.browser.daemons import Daemon
from tests.browser.watcher import ARGUMENTS, PHONE, Watcher, find_chromium
from tests.conftest import execute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

FOLDER = Path(__file__).parents[2] / "docs" / "dashboard"
PICTURE_BYTES_MAX = 150_000
QUALITY = 82
LOOPBACK = "127.0.0.0/8"
DELAY_MS = 1_000
WORK_S = 90.0
PAUSED = "observatory"
WIDE = (1440, 1010)
# Name, page, size, pixels a pixel, theme.
PICTURES = (
    ("overview-light", "#/", WIDE, 1, "light"),
    ("overview-dark", "#/", WIDE, 1, "dark"),
    ("job", "#/jobs/1", WIDE, 1, "light"),
    ("phone", "#/", PHONE, 2, "dark"),
)


@asynccontextmanager
async def work(folder: Path, urls: list[str]) -> AsyncIterator[Daemon]:
    """A daemon with a job for each site, some time into its work."""
    with embedded.acquire(embedded.EmbeddedConfig(data_dir=folder / "data")) as use:
        daemon = Daemon(use.dsn, folder)
        await daemon.start()
        async with _connected(Config(dsn=use.dsn)) as engine:
            sites = sites_of(urls, [LOOPBACK])
            plan = Plan(concurrency=4, delay_ms=DELAY_MS, options={})
            ids = await ensure_jobs(engine, sites, plan, print)
            watching = asyncio.create_task(_watch(daemon))
            await asyncio.sleep(WORK_S / 4)
            names = [spec.name for spec in demo_sites()]
            await (await engine.get_job(ids[names.index(PAUSED)])).pause()
            await asyncio.sleep(3 * WORK_S / 4)
            watching.cancel()
        # What is shown is the row's; what works on it has the site's address since its lease.
        for name, site in zip(names, sites, strict=True):
            rename = f"UPDATE pacewheel.domains SET name = '{name}.example'"
            await execute(use.dsn, f"{rename} WHERE name = '{site.domain}'")
        yield daemon
        await daemon.stop()


@asynccontextmanager
async def _connected(config: Config) -> AsyncIterator[Engine]:
    engine = Engine(config=config)
    await engine.connect()
    yield engine
    await engine.close()


async def _watch(daemon: Daemon) -> None:
    """Look at it all the while: who is not watched remembers less."""
    while True:
        await daemon.get("/api/v1/overview")
        await asyncio.sleep(1)


async def take(browser: Browser, daemon: Daemon, picture: tuple[Any, ...]) -> None:
    """Take one picture."""
    name, page, size, scale, theme = picture
    watcher = await Watcher.open(
        browser, daemon.url, size=size, device_scale_factor=scale, color_scheme=theme
    )
    await watcher.go(page)
    await asyncio.sleep(4)
    session = await watcher.context.new_cdp_session(watcher.page)
    clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": scale}
    taken = await session.send(
        "Page.captureScreenshot", {"format": "webp", "quality": QUALITY, "clip": clip}
    )
    content = base64.b64decode(taken["data"])
    assert len(content) <= PICTURE_BYTES_MAX, f"{name}: {len(content)} bytes"
    (FOLDER / f"{name}.webp").write_bytes(content)
    print(f"{name}.webp  {len(content)} bytes")  # noqa: T201 - what the command made
    await watcher.close()


async def main() -> None:
    """Take all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pacewheel-pictures-") as directory:
        folder = Path(directory)
        with FarmProcess(demo_sites(), folder / "arrivals.jsonl") as farm:
            async with work(folder, farm.urls) as daemon, async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=find_chromium(), args=ARGUMENTS
                )
                for picture in PICTURES:
                    await take(browser, daemon, picture)
                await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
