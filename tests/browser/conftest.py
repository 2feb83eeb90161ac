"""A Chromium and a daemon with a database of its own a module, pages of its own a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.daemons import Daemon
from tests.browser.watcher import ARGUMENTS, Watcher, find_chromium
from tests.conftest import execute, with_database
from tests.postgres_proxy import PostgresProxy, proxy_to

if TYPE_CHECKING:
    import pytest

Open = Callable[..., Awaitable[Watcher]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, headless."""
    program = find_chromium()
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield started
        await started.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(server_dsn: str, template: str, request: Any) -> AsyncIterator[str]:
    """The DSN of an empty database of the module's own."""
    find_chromium()
    name = f"browser_{Path(request.node.name).stem}_{template}"
    await execute(server_dsn, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield with_database(server_dsn, name)
    await execute(server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(database: str) -> AsyncIterator[PostgresProxy]:
    """What stands between the daemon and its database."""
    async with proxy_to(database) as between:
        yield between


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(
    proxy: PostgresProxy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Daemon]:
    """A daemon at work."""
    started = Daemon(proxy.dsn, tmp_path_factory.mktemp("daemon"))
    await started.start()
    yield started
    await started.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser: Browser, daemon: Daemon) -> AsyncIterator[Open]:
    """Opens pages; none of them may have complained by the end of the test."""
    opened: list[Watcher] = []

    async def open_one(**options: Any) -> Watcher:
        opened.append(await Watcher.open(browser, daemon.url, **options))
        return opened[-1]

    yield open_one
    for watcher in opened:
        await watcher.close()


@pytest_asyncio.fixture(loop_scope="module")
async def watcher(open_page: Open) -> Watcher:
    """One page, wide and light."""
    return await open_page(color_scheme="light")
