"""What a person at a terminal sees of `pacewheel top` and `--watch`, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from pacewheel import NewTask
from tests.conftest import execute
from tests.integration.test_cli_looks import WORKER
from tests.postgres_proxy import proxy_to
from tests.terminal import Terminal

if TYPE_CHECKING:
    from pacewheel import Engine

JOBS = 30
LEAVE_SCREEN = b"\x1b[?1049l"
UP, DOWN, RIGHT, LEFT = b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D"


@pytest.fixture
async def work(dsn: str, engine: Engine) -> str:
    """Thirty jobs, each in a domain of its own, and a worker; returns the DSN."""
    for number in range(JOBS):
        await engine.create_job(
            domain=f"site-{number:02d}.example",
            handler="h",
            domain_delay_ms=60_000,
            tasks=[NewTask(f"t{n}", key=f"k{n}") for n in range(5 + number)],
        )
    await execute(dsn, WORKER)
    return dsn


def fits(lines: list[str]) -> bool:
    """Tell that no line ran into the next: the screen's first line is its head."""
    return lines[0].startswith("pacewheel top")


def has_lists(lines: list[str], *names: str) -> bool:
    """Tell whether these lists are shown, and no others, each by its head."""
    heads = [line.split()[0] for line in lines if line.split()[:1]]
    return {*names} == {"job", "domain", "worker"} & {*heads}


async def test_top_shows_all_lists_and_keys_change_what_is_shown(work: str) -> None:
    """At 80 columns everything has its place; q leaves the terminal as it was."""

    def use() -> None:
        with Terminal(("top", "--dsn", work)) as terminal:
            # Waited for, since what is drawn may come in parts.
            terminal.until(
                lambda lines: fits(lines) and has_lists(lines, "job", "domain", "worker")
            )
            terminal.until_line("... and")
            lines = terminal.until_line("waiting for: worker_capacity")
            assert "jobs 30   domains 30   workers 1   running 0 of 64 slots" == lines[1]
            terminal.press(RIGHT)
            terminal.until_line("jobs", "q ends")
            lines = terminal.until(lambda lines: has_lists(lines, "job") and "site-" in lines[6])
            top = lines[6]
            terminal.press(DOWN + DOWN)
            terminal.until(lambda lines: lines[6] != top)
            terminal.press(UP * 5)
            terminal.until(lambda lines: lines[6] == top)
            terminal.press(LEFT)
            terminal.until_line("all lists")
            terminal.press(b"xyz\x1b[3~\x1bOA")
            terminal.until_line("jobs", "q ends")
            terminal.press(b"q")
            assert 0 == terminal.end()
            assert terminal.modes_before == terminal.modes_after
            assert LEAVE_SCREEN in terminal.raw

    await asyncio.to_thread(use)


async def test_top_follows_the_size_of_its_terminal(work: str) -> None:
    """Wider it has bars, narrower it loses columns and no more, very small it still draws."""

    def use() -> None:
        with Terminal(("top", "--dsn", work), columns=80, lines=24) as terminal:
            terminal.until_line("waiting for: worker_capacity")
            assert not terminal.refuses_to_wait
            assert not any("░" in line for line in terminal.lines)
            terminal.resize(140, 50)
            terminal.until_line("░")
            terminal.resize(50, 16)
            terminal.until(
                lambda lines: (
                    fits(lines)
                    and any("site-" in line for line in lines)
                    and not any("░" in line for line in lines)
                )
            )
            terminal.resize(20, 5)
            terminal.until(fits)
            terminal.process.send_signal(signal.SIGINT)
            assert 0 == terminal.end()
            assert terminal.modes_before == terminal.modes_after

    await asyncio.to_thread(use)


async def test_a_watch_draws_the_table_anew(work: str, dsn: str) -> None:
    """What changes is seen a second later; what does not fit is counted."""

    def watch() -> None:
        with Terminal(("jobs", "--watch", "--dsn", work)) as terminal:
            terminal.until_line("every second; q or Ctrl-C ends")
            terminal.until(lambda lines: "... and 10 more lines" == lines[-1])
            asyncio.run(execute(dsn, "UPDATE pacewheel.jobs SET status = 2 WHERE id = 30"))
            terminal.until_line("30", "site-29.example", "paused")
            terminal.process.send_signal(signal.SIGTERM)
            assert 143 == terminal.end()
            assert LEAVE_SCREEN in terminal.raw

    await asyncio.to_thread(watch)


async def test_top_outlives_its_database(work: str) -> None:
    """What was last known stays, with the reason on top, until the database is back."""
    async with proxy_to(work) as proxy:
        loop = asyncio.get_running_loop()

        def use() -> None:
            with Terminal(("top", "--dsn", proxy.dsn)) as terminal:
                terminal.until_line("waiting for: worker_capacity")
                loop.call_soon_threadsafe(proxy.go_away)
                terminal.until_line("old, for now: database 127.0.0.1", "can't be reached")
                terminal.until_line("waiting for: worker_capacity")
                proxy.come_back()
                terminal.until_line("q ends")
                terminal.press(b"q")
                assert 0 == terminal.end()

        await asyncio.to_thread(use)
