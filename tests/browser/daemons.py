"""A daemon under test, as `pacewheel run` starts it; its port stays when it comes back."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout

from tests.conftest import until
from tests.own_server import free_port

STOP_S = 60.0
PATIENCE = ClientTimeout(total=20)
ENVIRONMENT = {
    # What is lost is known within two seconds.
    "PACEWHEEL_LEASE_TTL_S": "2",
    "PACEWHEEL_HEARTBEAT_S": "0.25",
    "PACEWHEEL_LEASE_MARGIN_S": "0.5",
    "PACEWHEEL_GRACE_S": "0.5",
    # A machine that others use as well is no finding of theirs.
    "PACEWHEEL_SLOW_TRANSACTION_MS": "30000",
}


class Daemon:
    """One daemon on one database; its log is what its failures are judged by."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, **settings: str) -> None:
        """Start it, and wait until it serves and works; `settings` are of the environment."""
        self._process = self._spawn(
            {f"PACEWHEEL_{n.upper()}": text for n, text in settings.items()}
        )
        await until(self._is_ready)

    def _spawn(self, settings: dict[str, str]) -> subprocess.Popen[bytes]:
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("PACEWHEEL_")}
        command = [sys.executable, "-m", "pacewheel", "run", "--dsn", self.dsn]
        command += ["--http-port", str(self.port), "--allow-network", "127.0.0.0/8"]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, env=inherited | ENVIRONMENT | settings, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End it on the spot."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def stop(self) -> None:
        """Let it drain; nothing in it may have crashed."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, STOP_S)
            self._process = None
        assert "Traceback" not in self._log.read_text()

    async def get(self, path: str) -> int:
        """Return the status of an answer; 0 when none comes."""
        try:
            async with (
                ClientSession(timeout=PATIENCE) as client,
                client.get(self.url + path) as got,
            ):
                await got.read()
                return got.status
        except OSError:
            return 0

    async def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        return await self.get("/readyz") == 200
