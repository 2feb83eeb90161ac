"""`pacewheel run` as a process: its port, its sudden end, and its orderly one."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.commands import environment, refused
from tests.conftest import FAST, until
from tests.own_server import free_port

if TYPE_CHECKING:
    from pathlib import Path


def test_a_taken_port_is_one_line_and_exit_code_2(dsn: str) -> None:
    """Before anything has begun: no worker is registered."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = refused(2, "run", "--dsn", dsn, "--http-port", str(port), "--log-level", "error")
    assert f"http_port={port} is taken by another program: give another --http-port" in line


class Run:
    """A `pacewheel run` of this test."""

    def __init__(self, dsn: str, log: Path) -> None:
        self.port = free_port()
        settings = {"dsn": dsn, "http-port": self.port, "grace-s": 1}
        settings |= {name.replace("_", "-"): value for name, value in FAST.items()}
        options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pacewheel", "run", *options],
                env=environment(),
                stderr=errors,
            )

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and answer; 0 while nobody listens."""
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status, await response.json()
        except aiohttp.ClientConnectionError:
            return 0, None

    async def is_ready(self) -> bool:
        """Whether it works."""
        return (await self.get("/readyz"))[0] == 200


async def test_a_killed_process_is_silent_and_another_one_tells_of_it(
    dsn: str, tmp_path: Path
) -> None:
    """Streams end with it; the other shows it lost. SIGTERM ends that one in order, its port last."""
    logs = [tmp_path / "one", tmp_path / "two"]
    one, two = (Run(dsn, log) for log in logs)
    try:
        await until(one.is_ready)
        await until(two.is_ready)
        worker = (await one.get("/api/v1/session"))[1]["worker_id"]
        async with aiohttp.ClientSession() as session:
            stream = await session.get(f"http://127.0.0.1:{one.port}/api/v1/events")
            assert b"retry: 3000\n" == await stream.content.readline()
            one.process.kill()
            try:
                while await stream.content.read(2**16):
                    pass
            except aiohttp.ClientPayloadError:
                # Cut in the middle of the stream, as it should be known to be.
                pass
        assert (0, None) == await one.get("/healthz")

        async def is_told() -> bool:
            workers = (await two.get("/api/v1/workers"))[1]["workers"]
            return {each["id"]: each["state"] for each in workers}[worker] == "lost"

        await until(is_told)
        assert 1 == (await two.get("/api/v1/overview"))[1]["totals"]["workers_alive"]
        two.process.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.to_thread(two.process.wait, 60)
        assert (0, None) == await two.get("/healthz")
    finally:
        for run in (one, two):
            run.process.kill()
            run.process.wait()
    assert "Traceback" not in "".join(log.read_text() for log in logs)
