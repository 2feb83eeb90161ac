"""A PostgreSQL of a test's own, on TCP and with passwords: to be misconfigured, killed and started again.

Made of the embedded server's programs, without its care for users and locks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from pacewheel import embedded
from pacewheel.embedded.home import EmbeddedConfig, make_home
from pacewheel.store import migrate
from tests.conftest import execute
from tests.scratch import scratch

PASSWORD = "right-one"
START_TIMEOUT_S = 60.0


def free_port() -> int:
    """Return a TCP port of loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class OwnServer:
    """One cluster; its superuser is `owner`, whose password is PASSWORD."""

    def __init__(self, **settings: str) -> None:
        self.port = free_port()
        self._folder = scratch()
        run_as = make_home(EmbeddedConfig(self._folder / "home")).run_as()
        binaries = embedded.find_binaries().readable_for(run_as)
        self._postgres = binaries.program("postgres")
        self._options: dict[str, Any] = {"env": {"LC_ALL": "C", "PATH": os.defpath}, "cwd": "/"}
        if run_as.switch:
            self._options |= {"user": run_as.uid, "group": run_as.gid, "extra_groups": []}
            os.chown(self._folder, run_as.uid, run_as.gid)
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._data = self._folder / "data"
        command = [binaries.program("initdb"), "-D", self._data, "-U", "owner", "--no-sync"]
        command += ["--auth=scram-sha-256", f"--pwfile={password}"]
        subprocess.run(command, check=True, capture_output=True, **self._options)
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def dsn(self, user: str = "owner", password: str = PASSWORD, database: str = "postgres") -> str:
        """Return a DSN over TCP."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and wait until connections are taken; orphans of a killed server are waited for."""
        flags = [f"-c{name}={value}" for name, value in self._settings.items()]
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self._process is None or self._process.poll() is not None:
                with (self._folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(
                        [self._postgres, "-D", self._data, *flags],
                        stdout=log,
                        stderr=log,
                        **self._options,
                    )
            lines = self._pid_lines()
            if len(lines) > 7 and lines[0] == str(self._process.pid) and "ready" in lines[7]:
                return
            time.sleep(0.02)
        raise AssertionError((self._folder / "log").read_text())

    def _pid_lines(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def kill(self) -> None:
        """Kill the postmaster, whose children then leave by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop the postmaster and all its children where they are, as a stalled disk does."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        # The postmaster first, so that it starts no child behind our back.
        os.kill(self._process.pid, number)
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), number)

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._folder)


@contextlib.contextmanager
def running(**settings: str) -> Iterator[OwnServer]:
    """Yield a server with these settings that runs; it is gone afterwards."""
    own = OwnServer(**settings)
    try:
        own.start()
        yield own
    finally:
        own.close()


@contextlib.asynccontextmanager
async def migrated(own: OwnServer) -> AsyncIterator[str]:
    """Yield the DSN of a new database on it, migrated; it is gone afterwards."""
    await execute(own.dsn(), "CREATE DATABASE work")
    await migrate(own.dsn(database="work"), "pacewheel")
    yield own.dsn(database="work")
    await execute(own.dsn(), "DROP DATABASE work WITH (FORCE)")
